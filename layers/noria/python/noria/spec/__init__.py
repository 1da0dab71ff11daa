"""Project specs: one TOML file describes one project."""
