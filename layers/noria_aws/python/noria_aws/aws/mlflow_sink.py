"""Candidates to an MLflow tracking server, for teams that keep theirs; off unless it is named."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from noria.errors import StoreUnavailableError

_LONGEST_VALUE = 500  # characters of a parameter, MLflow's limit


class MlflowSink:
    """`MetricSink` over MLflow's client.

    Parameters
    ----------
    tracking_uri : str
        http(s) of a server.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri

    def log_candidate(
        self,
        name: str,
        facts: Mapping[str, Any],
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> None:
        """Record one candidate as a run of the project's experiment; the same one only once."""
        try:
            client = MlflowClient(tracking_uri=self._tracking_uri)
            experiment = _experiment(client, str(facts["project"]))
            where = (
                f"tags.`noria.run_id` = '{facts['run_id']}' and tags.`mlflow.runName` = '{name}'"
            )
            found = client.search_runs([experiment], filter_string=where, max_results=1)
            if found and found[0].info.status == "FINISHED":
                return
            # A run that was begun and not finished is written again, not once more.
            tags = {f"noria.{key}": str(value) for key, value in facts.items()}
            run_id = (
                found[0] if found else client.create_run(experiment, tags=tags, run_name=name)
            ).info.run_id
            client.log_batch(
                run_id,
                metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()],
                params=[Param(key, str(value)[:_LONGEST_VALUE]) for key, value in params.items()],
            )
            with TemporaryDirectory() as folder:  # MLflow takes paths
                for filename, body in files.items():
                    Path(folder, filename).write_bytes(body)
                client.log_artifacts(run_id, folder)
            client.set_terminated(run_id)
        except (MlflowException, OSError) as error:
            raise StoreUnavailableError(f"the MLflow server did not answer: {error}") from error


def _experiment(client: MlflowClient, project: str) -> str:
    name = f"noria-{project}"
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id) if found else str(client.create_experiment(name))
