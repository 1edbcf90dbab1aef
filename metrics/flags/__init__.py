"""Integrity flags I-01 … I-16 (metrics.md 4.7): lists of records worth a look. A flag never changes a fact."""
