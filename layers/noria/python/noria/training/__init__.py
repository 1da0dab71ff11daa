"""Candidates: the algorithms on offer, cross-validation and search."""
