"""Project specs, one TOML file each: data, not code."""
