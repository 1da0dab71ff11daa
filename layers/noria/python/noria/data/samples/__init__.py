"""Seeded sample data with drift at will, so that a first run needs no data of one's own."""
