"""The operations of the HTTP API; predict starts from here, so nothing heavy is imported."""
