"""Where things are and what they are called; standard library only: every command imports it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPECS = ROOT / "layers" / "projects" / "python" / "projects"
LOCAL_STAGE = "local"  # the embedded emulator
API_STAGE = "v1"  # of API Gateway: the last part of the API's base URL


def project_names() -> list[str]:
    """Return the names of the projects whose specs lie in the projects layer, sorted."""
    return sorted(path.stem for path in SPECS.glob("*.toml"))
