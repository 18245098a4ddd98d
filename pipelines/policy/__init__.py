"""Policies: fitted on labelled films, and checked on films they have not seen."""
