"""Where the real data sets lie: the folder `NORIA_DATA`, by default `../shared/data`."""

import os
from pathlib import Path

from infra.names import ROOT

DATA = Path(os.environ.get("NORIA_DATA", ROOT.parent / "shared" / "data"))


def data_files(pattern: str) -> list[Path]:
    """Return the files of the real data sets that match, by name; none where they are absent."""
    return sorted(DATA.glob(pattern))
