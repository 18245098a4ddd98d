"""Stages, command line, settings and storage."""
