"""The predict function: its composition root and its adapters, without botocore."""
