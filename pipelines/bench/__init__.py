"""Benchmarks of the software itself: each measures its figures in one run and prints them beside what is wanted."""
