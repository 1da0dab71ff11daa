"""Generators of sample data, for a first run without data of one's own."""
