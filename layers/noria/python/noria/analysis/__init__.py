"""Rows beside the rows a model was trained on: profiles, drift and features."""
