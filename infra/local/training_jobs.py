"""SageMaker's `createTrainingJob.sync` on this machine: a script-mode job as a process.

What a prebuilt image does for a script-mode job, small: the code archive is unpacked, the channels
are copied below the job's folder, hyperparameters are written as strings, the program runs, what
it left in `model/` becomes `model.tar.gz`, and a failure is what it wrote to `output/failure`.
Not here: images, instances, spot interruptions, `pip install` of the archive's requirements (the
venv has them), metrics from log lines.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3


class TrainingJobError(Exception):
    """The job failed; its text is what Step Functions gives as the cause."""


def run_training_job(request: Mapping[str, Any]) -> dict[str, Any]:
    """Run a training job to its end and describe it, as `DescribeTrainingJob` does.

    Parameters
    ----------
    request : mapping
        Of `CreateTrainingJob`, as the state machine makes it.

    Raises
    ------
    TrainingJobError
        The program failed.
    """
    client = boto3.client("s3")
    name, parameters = request["TrainingJobName"], request["HyperParameters"]
    with tempfile.TemporaryDirectory(prefix="training-job-") as folder:
        root = Path(folder) / "ml"
        code = _code(client, parameters["sagemaker_submit_directory"], root)
        _write_inputs(client, request, root)
        done = subprocess.run(  # noqa: S603 - the archive that this app has deployed
            [sys.executable, str(code / parameters["sagemaker_program"])],
            cwd=code,
            env=_environment(request, root, code),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        described = {
            "TrainingJobName": name,
            "TrainingJobStatus": "Completed" if done.returncode == 0 else "Failed",
        }
        if done.returncode != 0:
            failure = root / "output" / "failure"
            reason = failure.read_text("utf-8") if failure.is_file() else done.stdout[-1024:]
            raise TrainingJobError(json.dumps({**described, "FailureReason": reason}))
        output = (
            f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output/model.tar.gz"
        )
        bucket, key = place(output)
        client.put_object(Bucket=bucket, Key=key, Body=_archive(root / "model"))
        return {**described, "ModelArtifacts": {"S3ModelArtifacts": output}}


def place(uri: str) -> tuple[str, str]:
    """Return bucket and key of an address in S3."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _code(client: Any, uri: str, root: Path) -> Path:
    bucket, key = place(uri)
    code = root / "code"
    code.mkdir(parents=True)
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=BytesIO(body), mode="r:gz") as archive:
        archive.extractall(code, filter="data")
    return code


def _write_inputs(client: Any, request: Mapping[str, Any], root: Path) -> None:
    config = root / "input" / "config"
    config.mkdir(parents=True)
    parameters = {name: str(value) for name, value in request["HyperParameters"].items()}
    (config / "hyperparameters.json").write_text(json.dumps(parameters))
    for channel in request["InputDataConfig"]:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        if not download(client, uri, root / "input" / "data" / channel["ChannelName"]):
            raise TrainingJobError(json.dumps({"FailureReason": f"no objects under {uri}"}))
    for name in ("model", "output"):
        (root / name).mkdir()


def download(client: Any, uri: str, folder: Path) -> int:
    """Fetch the objects below an address, or the one it names; return how many."""
    bucket, prefix = place(uri)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    found = [key for key in keys if key == prefix or key.startswith(prefix.rstrip("/") + "/")]
    for key in found:
        inside = key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]
        path = folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(bucket, key, str(path))
    return len(found)


def _environment(request: Mapping[str, Any], root: Path, code: Path) -> dict[str, str]:
    return {
        **os.environ,
        **request["Environment"],
        "NORIA_TRAINING_ROOT": str(root),
        "PYTHONPATH": str(code),
        "MPLCONFIGDIR": str(root),
    }


def _archive(folder: Path) -> bytes:
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return out.getvalue()
