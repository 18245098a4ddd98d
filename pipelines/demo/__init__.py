"""The demo: a synthetic MIMIC-CXR-JPG mirror, and the whole story on it."""
