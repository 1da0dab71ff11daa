"""Where the real data sets lie: the folder `NORIA_DATA`, by default `../shared/data`."""

import os
from pathlib import Path

from infra.config import ROOT


def data_file(name: str) -> Path | None:
    """Return a file of the real data sets, None where they are absent."""
    folder = Path(os.environ.get("NORIA_DATA", ROOT.parent / "shared" / "data"))
    path = folder / name
    return path if path.is_file() else None
