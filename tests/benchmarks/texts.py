"""`make bench-texts`: the longest text that a request may hold, made to be slow.

Each text goes through all text features of a shipped project and the observer of monitoring, as a
prediction does; reported is the slowest of each kind beside 100 ms.
"""

import base64
import random
import time
from collections.abc import Callable

from cli.samples.files import sample_files
from infra.names import SPECS
from noria.data.versions import read_rows
from noria.features.text_signals import TextObserver
from noria.features.view import FeatureView
from noria.monitoring.reference import watched
from noria.spec.loader import load_project
from noria.steps.prepare_dataset import PrepareDatasetRequest, prepare_dataset
from noria.storage.keys import TRAIN
from noria.training.fold_features import FoldFeatures, prepared_here
from tests.benchmarks.report import Result, publish
from tests.benchmarks.size import results_file, sized
from tests.support.fakes import MemoryAliases, MemoryArtifacts

_GOAL_MS = 100.0
_N_ROWS = 300
_ROUNDS = sized(5, smoke=1)
PROJECTS = sized(("tickets", "messages"), smoke=("tickets",))


def _random(alphabet: str) -> Callable[[int], str]:
    return lambda n: "".join(random.Random(1).choices(alphabet, k=n))


HOSTILE: dict[str, Callable[[int], str]] = {
    "one letter": lambda n: "a" * n,
    "letters that grow in lower case": lambda n: "İ" * n,
    "combining marks": lambda n: "a" + "\u0301\u0323" * (n // 2),
    "marks on letters": lambda n: "a\u0301" * (n // 2),
    "addresses": lambda n: "a@" * (n // 2),
    "base64": lambda n: base64.b64encode(random.Random(1).randbytes(n)).decode()[:n],
    "a log": lambda n: ("2026-01-01T00:00:00Z [warn] <init> http://a.b/c?d=e 0xdead " * n)[:n],
    "opening brackets": lambda n: "[<" * (n // 2),
    "brackets on every line": lambda n: "[<\n" * (n // 3) + "]>",
    "one sign and letters": lambda n: "a-" * (n // 2),
    "digits and letters": lambda n: "a1" * (n // 2),
    "distinct words": lambda n: _random("abcdefghijklmnopqrstuvwxyz      ")(n),
    "a text without spaces": lambda n: _random("abcdefghij")(n),
    "high planes": lambda n: "𝒜" * n,
}  # fmt: skip


def main() -> None:
    """Measure every text on every project, print and write `build/texts.json`."""
    results = []
    for project in PROJECTS:
        answer, longest = _answering(project)
        for name, made in HOSTILE.items():
            text = made(longest)
            fastest = min(_milliseconds(answer, text) for _ in range(_ROUNDS))
            results.append(Result.within(f"{project}: {name}", "ms", fastest, _GOAL_MS))
    publish(results, results_file("texts.json"))


def _milliseconds(answer: Callable[[str], None], text: str) -> float:
    started = time.perf_counter()
    answer(text)
    return (time.perf_counter() - started) * 1e3


def _answering(project: str) -> tuple[Callable[[str], None], int]:
    """Return what a prediction does with a text, and how long one may be."""
    spec = load_project(project, SPECS)
    store, keys = MemoryArtifacts(), list[str]()
    for name, body in sample_files(project, n_rows=_N_ROWS):
        keys.append(f"inbox/{project}/1/{name}")
        store.put(keys[-1], body)
    prepared = prepare_dataset(
        PrepareDatasetRequest(project, "r", tuple(keys)),
        spec=spec, artifacts=store, aliases=MemoryAliases(),
    )  # fmt: skip
    rows = read_rows(store, project, str(prepared.dataset_version), TRAIN)
    view, _, _ = FoldFeatures(spec, prepared_here(spec, rows)).of([*range(len(rows))], [])
    column = next(n for n, c in spec.dataset.columns.items() if c.type == "text")
    served, observer = FeatureView(view.data), TextObserver(watched(spec, rows))

    def answer(text: str) -> None:
        row = {**rows[0], column: text}
        served.apply(served.prepare(row))
        observer.observe(row)

    return answer, spec.dataset.columns[column].max_length


if __name__ == "__main__":
    main()
