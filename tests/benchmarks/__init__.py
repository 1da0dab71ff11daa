"""Measurements: ratios within one run against the usual way."""
