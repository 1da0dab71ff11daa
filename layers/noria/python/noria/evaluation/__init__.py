"""Metrics and the paired comparison of two models on the same rows."""
