"""A SageMaker training job of one candidate: script mode on a prebuilt image, or the emulator's.

The container's contract, read by hand because the toolkit that reads it does not install on
current Python: hyperparameters as strings in `input/config/hyperparameters.json`, channels below
`input/data/`, what is kept below `model/`, the reason of a failure in `output/failure` [1]_.

References
----------
.. [1] Amazon SageMaker developer guide, "How Amazon SageMaker provides training information".
"""

import json
import sys
import traceback
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.errors import TrainingFailedError
from noria.ports import ArtifactStore
from noria.steps.train_candidate import TrainCandidateRequest, train_candidate
from noria.storage.keys import GOLDEN, MANIFEST, candidate_key, dataset_key, run_key
from noria_aws.aws.settings import training_root
from noria_aws.handlers.bootstrap import Services, bootstrap
from noria_aws.handlers.runtime import facts_of, log_event, reason_of

_SHOWN = 1024  # characters of a failure that SageMaker shows
_KEPT = (BUNDLE_FILE, ARRAYS_FILE, GOLDEN)  # what becomes model.tar.gz


def main() -> None:
    """Train the candidate that the hyperparameters name; exit with 1 on a fault.

    A candidate that cannot be fitted is no fault: the others decide, as on Lambda.
    """
    root = Path(training_root())
    try:
        run_job(root, bootstrap())
    except TrainingFailedError as error:
        log_event("candidate_failed", **error.to_dict())
    except Exception as error:  # noqa: BLE001 - the edge: SageMaker shows what is written there
        traceback.print_exc()  # into the job's log; what SageMaker shows may be told
        reason = reason_of(error)
        (root / "output").mkdir(parents=True, exist_ok=True)
        (root / "output" / "failure").write_text(reason[:_SHOWN], encoding="utf-8")
        log_event("job_failed", **facts_of(error))
        sys.exit(1)


def run_job(root: Path, services: Services) -> None:
    """Run the training step on the channels below `root`; results go where the step puts them."""
    request = read_request(root)
    channels = {
        dataset_key(request.project, request.dataset_version, "train/"): "train",
        dataset_key(request.project, request.dataset_version, MANIFEST): "manifest",
        run_key(request.project, request.run_id, "features/"): "features",
    }
    store = _Channels(services.artifacts, root / "input" / "data", channels)
    result = train_candidate(
        request,
        spec=services.spec(request.project),
        artifacts=store,
        clock=services.clock,
        code=services.code_versions() | {"backend": "sagemaker"},
    )
    log_event("candidate_trained", metric=result.metric, cv_mean=result.cv_mean)
    model = root / "model"
    model.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        key = candidate_key(request.project, request.run_id, request.candidate, name)
        (model / name).write_bytes(services.artifacts.get(key))


def read_request(root: Path) -> TrainCandidateRequest:
    """Return what to train, of hyperparameters that are all strings, JSON-encoded or not."""
    path = root / "input" / "config" / "hyperparameters.json"
    given = json.loads(path.read_text(encoding="utf-8"))
    values = {name: _plain(value) for name, value in given.items()}
    return TrainCandidateRequest(
        project=values["project"],
        run_id=values["run_id"],
        dataset_version=values["dataset_version"],
        candidate=values["candidate"],
        refit_of=values.get("refit_of") or None,
    )


def _plain(value: str) -> str:
    """Return a string that may be JSON-encoded; SageMaker's own tools encode, others do not."""
    if value.startswith('"'):
        return str(json.loads(value))
    return value


class _Channels:
    """`ArtifactStore` that reads what the channels brought, and everything else from the bucket."""

    def __init__(self, artifacts: ArtifactStore, folder: Path, channels: dict[str, str]) -> None:
        self._artifacts, self._folder, self._channels = artifacts, folder, channels

    def get(self, key: str) -> bytes:
        """Return the object's bytes; KeyError when there is none."""
        path = self._local(key)
        return path.read_bytes() if path else self._artifacts.get(key)

    def open(self, key: str) -> BinaryIO:
        """Return the object as a binary stream."""
        return BytesIO(self.get(key))

    def put(self, key: str, body: bytes, *, if_absent: bool = False) -> bool:
        """Write the object to the bucket."""
        return self._artifacts.put(key, body, if_absent=if_absent)

    def exists(self, key: str) -> bool:
        """Return whether the key holds an object."""
        return self._local(key) is not None or self._artifacts.exists(key)

    def _local(self, key: str) -> Path | None:
        for prefix, channel in self._channels.items():
            if key.startswith(prefix):
                inside = key[len(prefix) :] or prefix.rpartition("/")[2]
                path = self._folder / channel / inside
                return path if path.is_file() else None
        return None


if __name__ == "__main__":
    main()
