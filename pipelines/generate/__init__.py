"""Reports for the cases of the benchmark, by a model server or a model of this machine."""
