"""The catalog: what a data set knows about every image."""
