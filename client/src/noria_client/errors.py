"""What can go wrong, as the API says it."""

from collections.abc import Mapping, Sequence
from typing import Any

from noria_client.shapes import Fault


class NoriaError(Exception):
    """A request that was not answered.

    Attributes
    ----------
    status : int
        Of HTTP; 0 where no answer came.
    title, detail : str
        What is wrong.
    errors : list of {"field", "reason"}
        Of a request with wrong fields.
    request_id : str or None
        Name it where you ask for help.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        errors: Sequence[Fault] = (),
        request_id: str | None = None,
    ) -> None:
        self.status, self.title, self.detail = status, title, detail
        self.errors, self.request_id = list(errors), request_id
        named = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in self.errors)
        super().__init__(f"{status} {title}: {named or detail}")


class JobFailedError(NoriaError):
    """A batch job without results; `job` says how it ended."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.job = dict(job)
        super().__init__(200, f"the batch job is {job['state']}", str(job.get("summary", "")))
