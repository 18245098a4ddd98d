"""Annotation: a verdict for every image of the catalog."""
