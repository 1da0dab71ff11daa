"""Prove in the serving runtime that the challenger's bundle answers as training did."""

from dataclasses import dataclass

from noria.data.versions import decode_rows
from noria.inference.golden import GoldenRow, verify
from noria.inference.loading import load_candidate
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
    subject = (request.project, request.run_id, request.candidate)
    rows = decode_rows(artifacts.get(candidate_key(*subject, GOLDEN)))
    golden = [GoldenRow(**row) for row in rows]
    predictor = load_candidate(artifacts, *subject)
    difference = verify(predictor, golden)
    return VerifyBundleResult(len(golden), difference, predictor.precision)
