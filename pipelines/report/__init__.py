"""`lrrg report` and the image card: self-contained pages that open from disk and ask no network for anything."""
