"""Client of Noria's HTTP API; `noria_client.calls` has every operation."""

from noria_client import calls
from noria_client.client import AsyncNoria, Noria
from noria_client.errors import JobFailedError, NoriaError

__all__ = ["AsyncNoria", "JobFailedError", "Noria", "NoriaError", "calls"]
