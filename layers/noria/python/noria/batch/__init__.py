"""Whole files: read in parts, scored column by column, gathered in order. Needs numpy and Arrow."""
