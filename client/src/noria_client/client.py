"""The clients: one waits for each answer, the other is awaited."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from noria_client import calls
from noria_client.calls import Call
from noria_client.errors import JobFailedError, NoriaError
from noria_client.sending import ENDED, answer_of, next_look, pause_of, request_of
from noria_client.shapes import Answer, FiledLabels, Inputs, Job, Label, Prediction, Predictions

Progress = Callable[[Job], None]
_SECONDS, _TRIES = 35.0, 4  # API Gateway answers within 29 s


class Noria:
    """A deployment's API.

    Parameters
    ----------
    url : str
        As `noria up` or `cdk deploy` prints it.
    api_key : str
        `noria keys` makes and shows them.
    timeout : float
        Seconds for each answer.
    tries : int
        Of each request, at least 1: 429 and 503 are tried again, after Retry-After; a GET also
        where no answer came.
    transport : httpx.BaseTransport, optional
        For tests.

    Examples
    --------
    >>> with Noria("https://….amazonaws.com/v1", "…") as noria:  # doctest: +SKIP
    ...     noria.predict("housing", {"RM": 6.5, "LSTAT": 5.0})["value"]
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = _SECONDS,
        tries: int = _TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._key, self._tries = api_key, tries
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/", timeout=timeout, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> Answer:
        """Send one of `noria_client.calls`; NoriaError says why there is no answer."""
        for n_tries in range(1, self._tries + 1):
            answer: httpx.Response | None = None
            try:
                answer = self._http.request(**request_of(call, self._key))
            except httpx.TransportError as error:
                pause = pause_of(call, None, n_tries)
                if pause is None or n_tries == self._tries:
                    raise NoriaError(0, "no answer", str(error)) from error
            else:
                pause = pause_of(call, answer, n_tries)
                if pause is None or n_tries == self._tries:
                    return answer_of(answer)
            time.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def predict(self, project: str, inputs: Inputs, **more: Any) -> Prediction:
        """Return the answer to one row; `more` as of `calls.predict`."""
        return cast(Prediction, self.send(calls.predict(project, inputs, **more)))

    def predict_batch(self, project: str, rows: Sequence[Inputs]) -> Predictions:
        """Return the answers to 1 to 100 rows; a bad one has `errors`."""
        return cast(Predictions, self.send(calls.predict_batch(project, rows)))

    def feedback(self, project: str, label: Label, **named: str) -> FiledLabels:
        """File the true label of an answer, by `prediction_id` or `record_id`."""
        return cast(FiledLabels, self.send(calls.feedback(project, label, **named)))

    def feedback_of_records(self, project: str, labels: Mapping[str, Label]) -> FiledLabels:
        """File true labels by record id, 1 to 1000."""
        return cast(FiledLabels, self.send(calls.feedback_of_records(project, labels)))

    def score_file(
        self,
        project: str,
        path: Path | str,
        *,
        limit: int | None = None,
        progress: Progress | None = None,
        timeout: float = 3600.0,
    ) -> Job:
        """Upload a file, wait until it is scored, and return the job with its links.

        Parameters
        ----------
        progress : callable, optional
            Called with the job after each look at it.
        timeout : float
            Seconds to wait for its end; it goes on without you.

        Raises
        ------
        JobFailedError
            It has no results: rejected, cancelled, failed, or held for a person's word.
        TimeoutError
            It has not ended.
        """
        path = Path(path)
        created = self.send(calls.create_job(project, path.name, limit))
        with path.open("rb") as stream, _linked("the upload"):
            httpx.put(created["upload"]["url"], content=stream, timeout=timeout).raise_for_status()
        started = time.monotonic()
        while True:
            job = cast(Job, self.send(calls.job(project, created["job_id"])))
            if progress:
                progress(job)
            if job["state"] in ENDED:
                return _with_results(job)
            waited = time.monotonic() - started
            if waited > timeout:
                raise TimeoutError(f"batch job {job['job_id']} is {job['state']}: it goes on")
            time.sleep(next_look(waited))

    def download(self, job: Job, folder: Path | str) -> list[Path]:
        """Write what a job has (result, refused rows, page) into a folder; return the files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for link in job.get("links", {}).values():
            target = folder / httpx.URL(link).path.rpartition("/")[2]
            with (
                _linked("the download"),
                httpx.stream("GET", link, timeout=_SECONDS) as answer,
            ):
                answer.raise_for_status()
                with target.open("wb") as out:
                    for block in answer.iter_bytes():
                        out.write(block)
            written.append(target)
        return written


class AsyncNoria:
    """A deployment's API, awaited; parameters as of `Noria`."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = _SECONDS,
        tries: int = _TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._key, self._tries = api_key, tries
        self._http = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/", timeout=timeout, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call) -> Answer:
        """Send one of `noria_client.calls`; NoriaError says why there is no answer."""
        for n_tries in range(1, self._tries + 1):
            try:
                answer = await self._http.request(**request_of(call, self._key))
            except httpx.TransportError as error:
                pause = pause_of(call, None, n_tries)
                if pause is None or n_tries == self._tries:
                    raise NoriaError(0, "no answer", str(error)) from error
            else:
                pause = pause_of(call, answer, n_tries)
                if pause is None or n_tries == self._tries:
                    return answer_of(answer)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    async def predict(self, project: str, inputs: Inputs, **more: Any) -> Prediction:
        """Return the answer to one row; `more` as of `calls.predict`."""
        return cast(Prediction, await self.send(calls.predict(project, inputs, **more)))

    async def predict_batch(self, project: str, rows: Sequence[Inputs]) -> Predictions:
        """Return the answers to 1 to 100 rows; a bad one has `errors`."""
        return cast(Predictions, await self.send(calls.predict_batch(project, rows)))

    async def feedback(self, project: str, label: Label, **named: str) -> FiledLabels:
        """File the true label of an answer, by `prediction_id` or `record_id`."""
        return cast(FiledLabels, await self.send(calls.feedback(project, label, **named)))


@contextmanager
def _linked(what: str) -> Iterator[None]:
    """Say what failed without the link: whoever has it may use it."""
    failed: NoriaError | None = None
    try:
        yield
    except httpx.HTTPStatusError as error:
        failed = NoriaError(error.response.status_code, f"{what} was refused")
    except httpx.TransportError as error:
        failed = NoriaError(0, f"{what} failed", type(error).__name__)
    if failed is not None:
        raise failed from None


def _with_results(job: Job) -> Job:
    if job["state"] != "completed":
        raise JobFailedError(job)
    return job
