"""Scoring a serving bundle with the standard library, and proving that it is right."""
