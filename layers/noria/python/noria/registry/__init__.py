"""Immutable model versions and the aliases that point at them."""
