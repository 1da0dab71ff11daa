"""What the benchmark's child processes run: one role each, results as one JSON line on stdout.

Started as `python -S -s -P -B children.py ROLE …` so that both sides import exactly the folders they
are given.
"""

import json
import os
import sys
import time

TYPE_CHECKING = False  # typing itself would be part of the start that is measured
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Predict = Callable[[Any], Any]


def main() -> None:
    """Put the given folders on the path, then answer one row cold and many rows warm."""
    role, folders, rows_file, *rest = sys.argv[1:]
    sys.path[:0] = folders.split(":")
    with open(rows_file, encoding="utf-8") as stream:  # noqa: PTH123 - nothing imported before
        rows = json.load(stream)
    if role == "soak":
        _soak(rows, *rest)
        return
    roles: dict[str, Any] = {
        "bundle": _bundle,
        "pipeline": _pipeline,
        "handler": _handler,
        "authorizer": _authorizer,
    }
    predict: Predict = roles[role](*rest)
    predict(rows[0])
    print("ready", flush=True)
    peak = _peak_rss_bytes()
    times = []
    for row in rows if sys.stdin.readline().strip() == "warm" else []:
        started = time.perf_counter()
        predict(row)
        times.append(time.perf_counter() - started)
    times.sort()
    p50 = times[len(times) // 2] if times else None
    print(json.dumps({"rss_bytes": peak, "p50_seconds": p50}), flush=True)


def _peak_rss_bytes() -> int:
    """Return the process's own high-water mark; getrusage's includes the parent's at the fork."""
    with open("/proc/self/status", encoding="ascii") as stream:  # noqa: PTH123
        for line in stream:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel reports no VmHWM")


def _bundle(folder: str) -> "Predict":
    from noria.inference.predictor import Predictor

    files = {}
    for name in ("bundle.json", "arrays.bin"):
        with open(f"{folder}/{name}", "rb") as stream:  # noqa: PTH123
            files[name] = stream.read()
    return Predictor(files, is_verified=True).answer  # as predict loads what was promoted


def _pipeline(path: str) -> "Predict":
    import joblib
    import pandas as pd

    pipeline = joblib.load(path)
    answer = pipeline.predict_proba if hasattr(pipeline, "predict_proba") else pipeline.predict
    return lambda row: answer(pd.DataFrame([row]))


def _handler(folder: str, project: str) -> "Predict":
    sys.path.insert(0, folder)
    import handler  # type: ignore[import-not-found]

    def predict(row: object) -> None:
        event = {
            "httpMethod": "POST",
            "resource": "/projects/{project}/predict",
            "pathParameters": {"project": project},
            "requestContext": {
                "authorizer": {
                    "principalId": "key",
                    "name": "bench",
                    "scopes": "user",
                    "projects": "*",
                }
            },
            "body": json.dumps({"inputs": row}),
        }
        answer = handler.lambda_handler(event, None)
        if answer["statusCode"] != 200:
            raise RuntimeError(answer["body"])

    return predict


def _soak(rows: list[object], folder: str, project: str, n: str, settled: str) -> None:
    """Answer one row after the other; tell how it goes, and what is resident."""
    predict, n_failed, first = _handler(folder, project), 0, 0
    out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for number in range(int(n)):
        try:
            predict(rows[number % len(rows)])
        except RuntimeError:
            n_failed += 1
        if number + 1 == int(settled):
            first = _resident_bytes()
        if (number + 1) % 10_000 == 0:
            print(f"soak {number + 1} {_resident_bytes()}", file=sys.stderr, flush=True)
    facts = {"n_failed": n_failed, "first": first, "last": _resident_bytes()}
    print(json.dumps(facts), file=out, flush=True)


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _authorizer(folder: str, key: str) -> "Predict":
    sys.path.insert(0, folder)
    import handler

    event = {
        "methodArn": "arn:aws:execute-api:us-east-1:1:abc/v1/POST/projects/tickets/predict",
        "headers": {"x-api-key": key},
    }
    return lambda row: handler.lambda_handler(event, None)


if __name__ == "__main__":
    main()
