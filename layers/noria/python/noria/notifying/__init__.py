"""Alerts as the messages of chat services."""
