"""The serving bundle: its file format and the exporters that write it."""
