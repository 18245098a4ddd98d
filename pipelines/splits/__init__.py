"""The benchmark materialised: from verdicts to cases in the database and in files."""
