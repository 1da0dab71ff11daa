"""A model over whole columns: parsing, features and scores of many rows at once."""
