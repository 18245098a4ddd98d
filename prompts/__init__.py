"""Versioned prompts as data."""
