"""Rows: parsing, validation, dataset versions, splits."""
