"""Prove in the serving runtime that the challenger's bundle answers as training did."""

from dataclasses import dataclass

from noria.bundle.format import ARRAYS_FILE, BUNDLE_FILE
from noria.data.versions import decode_rows
from noria.inference.golden import verify
from noria.inference.predictor import Predictor
from noria.ports import ArtifactStore
from noria.storage.keys import GOLDEN, candidate_key


@dataclass(frozen=True)
class VerifyBundleRequest:
    """Which candidate's bundle."""

    project: str
    run_id: str
    candidate: str


@dataclass(frozen=True)
class VerifyBundleResult:
    """How close it is."""

    n_golden_rows: int
    largest_difference: float
    precision: str


def verify_bundle(request: VerifyBundleRequest, *, artifacts: ArtifactStore) -> VerifyBundleResult:
    """Score the golden rows with the bundle; ModelIncompatibleError refuses it.

    Reads the candidate's bundle and golden rows; writes nothing.
    """

    def get(name: str) -> bytes:
        key = candidate_key(request.project, request.run_id, request.candidate, name)
        return artifacts.get(key)

    golden = decode_rows(get(GOLDEN))
    predictor = Predictor({name: get(name) for name in (BUNDLE_FILE, ARRAYS_FILE)})
    difference = verify(predictor, golden)
    return VerifyBundleResult(len(golden), difference, predictor.precision)
