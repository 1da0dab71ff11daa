"""The MLflow sink against a real `mlflow server` on SQLite, on this machine's loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from mlflow import MlflowClient

from noria.errors import StoreUnavailableError
from noria_aws.aws.mlflow_sink import MlflowSink

_FACTS = {"project": "tickets", "run_id": "r1", "algorithm": "svm", "is_challenger": True}
_START_SECONDS = 90


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a tracking server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _answers(address):
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_candidate_arrives_whole_and_only_once(server):
    """Parameters, metrics, tags and files; a repeated run adds nothing."""
    sink = MlflowSink(server)
    files = {"report.html": "<p>señal</p>".encode(), "arrays.bin": bytes(range(256))}
    for _ in range(2):
        sink.log_candidate("svm", _FACTS, {"C": 3.0, "kernel": "rbf"}, {"cv_f1": 0.81}, files)
    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("noria-tickets")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {"C": "3.0", "kernel": "rbf"}
    assert run.data.metrics == {"cv_f1": 0.81}
    assert run.data.tags["noria.algorithm"] == "svm"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == set(files)


def test_a_run_that_was_begun_and_not_finished_is_finished_not_begun_again(server):
    """A function may die between two calls."""
    client = MlflowClient(tracking_uri=server)
    experiment = client.create_experiment("noria-halves")
    client.create_run(experiment, tags={"noria.run_id": "r1"}, run_name="svm")
    facts = {**_FACTS, "project": "halves"}
    MlflowSink(server).log_candidate("svm", facts, {"C": 1.0}, {"cv_f1": 0.5}, {"a.txt": b"a"})
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"cv_f1": 0.5}


def test_a_server_that_is_away_is_a_store_that_is_unavailable(monkeypatch):
    """The caller goes on without it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreUnavailableError, match="MLflow"):
        MlflowSink(f"http://127.0.0.1:{_free_port()}").log_candidate("a", _FACTS, {}, {}, {})
