"""Calibration: what a judge is worth beside the tools."""
