"""One capability, one file, one class."""
