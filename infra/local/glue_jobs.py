"""Glue's `startJobRun.sync` on this machine: the job's script as a process, Spark on its cores.

What Glue does for a Spark job, small: the script and the archive of code come from S3, default
arguments and the run's own are put together, addresses in S3 are folders Spark reads and writes.
Not here: machines of a worker type, `pip install` of the additional modules (the venv has them),
Glue's own `awsglue` package.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3

from infra.local.training_jobs import download, place

_SPARK = "--master local[*] --driver-memory 2g --conf spark.ui.enabled=false pyspark-shell"
_SHOWN = 2000  # characters of a failure


class GlueJobError(Exception):
    """The run failed; its text is what Step Functions gives as the cause."""


def run_glue_job(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a job to its end and describe the run, as `GetJobRun` does.

    Parameters
    ----------
    request : mapping
        Of `StartJobRun`, as the state machine makes it.

    Raises
    ------
    GlueJobError
        The script failed.
    """
    if request["Arguments"]["--task"] != "train" and (reason := missing_spark()):
        raise GlueJobError(json.dumps({"JobRunState": "FAILED", "ErrorMessage": reason}))
    client = boto3.client("s3")
    job = boto3.client("glue").get_job(JobName=request["JobName"])["Job"]
    arguments = {**job["DefaultArguments"], **request.get("Arguments", {})}
    described = {"JobName": request["JobName"], "Id": f"jr_{uuid.uuid4().hex}"}
    with tempfile.TemporaryDirectory(prefix="glue-job-") as folder:
        root = Path(folder)
        script, code = root / "job.py", root / "code.zip"
        for path, uri in (
            (script, job["Command"]["ScriptLocation"]),
            (code, arguments.pop("--extra-py-files")),
        ):
            bucket, key = place(uri)
            client.download_file(bucket, key, str(path))
        for name in ("--additional-python-modules", "--python-modules-installer-option"):
            arguments.pop(name)  # the venv has them
        folders = _Folders(client, root)
        given = {name: folders.local(value) for name, value in arguments.items()}
        done = subprocess.run(  # noqa: S603 - the script that this app has deployed
            [sys.executable, str(script), *(part for pair in given.items() for part in pair)],
            cwd=root,
            env=_environment(code, root),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            log_file = Path(tempfile.gettempdir()) / f"{described['Id']}.log"
            log_file.write_text(done.stdout)
            message = f"{_last_words(done.stdout)} (all of it: {log_file})"
            failed = {**described, "JobRunState": "FAILED", "ErrorMessage": message}
            raise GlueJobError(json.dumps(failed))
        folders.upload()
    return {**described, "JobRunState": "SUCCEEDED"}


def missing_spark() -> str | None:
    """Return what Spark lacks on this machine, and what to do; None where it runs."""
    if shutil.which("java") is None:
        return "Spark needs Java 17: apt-get install openjdk-17-jre-headless"
    if find_spec("pyspark") is None:
        return "PySpark is not installed: make spark"
    return None


def _last_words(text: str) -> str:
    """Return the error of a program's output: without Java's stack frames."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith(("at ", "... "))]
    return said[-1][:_SHOWN] if said else "the job ended without a message"


class _Folders:
    """Addresses in S3 as folders of this machine: Spark's own S3 client is not on PyPI."""

    def __init__(self, client: Any, root: Path) -> None:
        self._client, self._root = client, root
        self._written: list[tuple[str, Path]] = []

    def local(self, value: str) -> str:
        """Return an argument; an address becomes a folder, filled if there is anything."""
        if not value.startswith("s3://"):
            return value
        folder = self._root / f"folder-{uuid.uuid4().hex[:8]}"
        if not download(self._client, value, folder):
            self._written.append((value, folder))
        return str(folder)

    def upload(self) -> None:
        """Put what the job wrote where its addresses said."""
        for uri, folder in self._written:
            bucket, prefix = place(uri)
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    key = f"{prefix.rstrip('/')}/{path.relative_to(folder)}"
                    self._client.upload_file(str(path), bucket, key)


def _environment(code: Path, root: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(code),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": _SPARK,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(root),
        "MPLCONFIGDIR": str(root),
    }
