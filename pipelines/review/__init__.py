"""Readers' opinions beside the verdicts."""
