"""Scores: predictions against the benchmark, as tables, figures and a card."""
