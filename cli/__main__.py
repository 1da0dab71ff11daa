"""`python -m cli` is `noria`."""

from cli.main import app

app(prog_name="noria")
