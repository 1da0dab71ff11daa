"""The whole wheel once, on the embedded emulator, with a table of what happened."""

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from cli.display import console, outcome_line, show_state, table
from cli.samples.files import sample_files
from cli.target import Target
from cli.training import new_run_id, run_training, upload
from infra.local.deploy import deploy
from infra.names import LOCAL_STAGE as LOCAL
from noria.errors import UnknownProjectError

_ROWS: dict[str, list[dict[str, Any]]] = {
    "tickets": [
        {"short_description": "Buenos días, no puedo iniciar sesión, la contraseña está vencida"},
        {"short_description": "El reporte de fondos muestra saldos errados al cierre"},
        {"short_description": "La impresora del piso 3 atasca el papel", "close_notes": ""},
    ],
    "messages": [
        {"text": "The bartender was outstanding and happy hour was worth every penny. Love this place!",
         "date": "2026-02-03T19:00:00", "categories": "Nightlife, Bars, Pubs", "stars_business": 4.5},
        {"text": "My treatment was okay for the price. Might return."},
        {"text": "The kitchen got my order wrong twice and nobody apologised. Never again.", "average_stars": 2.1},
    ],
    "customers": [
        {"edad": 41, "antiguedad_meses": 60, "ingreso_mensual": 5200, "saldo_promedio": 9000,
         "n_transacciones": 55, "dias_ultima_compra": 3, "utilizacion_tarjeta": 0.9,
         "reclamos_12m": 0, "segmento": "premium", "canal": "app", "region": "Lima",
         "estado_civil": "casado", "prob_value_contact": 0.7, "monto": 25000},
        {"edad": 29, "antiguedad_meses": 8, "ingreso_mensual": 1500, "saldo_promedio": 700,
         "n_transacciones": 4, "dias_ultima_compra": 150, "reclamos_12m": 1, "segmento": "masivo",
         "canal": "teléfono", "region": "Piura", "estado_civil": "soltero",
         "prob_value_contact": 0.6, "monto": 4000},
    ],
    "housing": [
        {"CRIM": 0.00632, "ZN": 18, "INDUS": 2.31, "CHAS": 0, "NOX": 0.538, "RM": 6.575, "AGE": 65.2,
         "DIS": 4.09, "RAD": 1, "TAX": 296, "PTRATIO": 15.3, "B": 396.9, "LSTAT": 4.98},
        {"CRIM": 8.98, "NOX": 0.77, "RM": 6.21, "AGE": 97.4, "DIS": 2.12, "RAD": 24, "TAX": 666,
         "PTRATIO": 20.2, "B": 377.73, "LSTAT": 17.6},
    ],
}  # fmt: skip


def run(chosen: list[str] | None) -> None:
    """Start what is not running, train what has no champion, and predict.

    `chosen` are project names, None for all that the demo knows; UnknownProjectError names them.
    """
    projects = chosen or list(_ROWS)
    unknown = sorted(set(projects) - set(_ROWS))
    if unknown:
        raise UnknownProjectError(f"the demo knows {sorted(_ROWS)}, not {unknown}")
    happened: list[tuple[str, str, str]] = []

    def timed(what: str, do: Callable[[], str]) -> None:
        started = time.monotonic()
        outcome = do()
        happened.append((what, outcome, f"{time.monotonic() - started:.1f} s"))

    target = Target(LOCAL)
    emulator = target.emulator
    assert emulator is not None
    timed("emulator", lambda: "started" if emulator.start() else "was running already")
    timed("deploy", lambda: _deployed(target))
    for project in projects:
        timed(f"train {project}", partial(_trained, target, project))
    for project in projects:
        for row in _ROWS[project]:
            timed(f"predict {project}", partial(_predicted, target, project, row))
    console.print(table("What happened", ("what", "outcome", "time"), happened))
    _print_next_steps(target, projects)


def _deployed(target: Target) -> str:
    assert target.emulator is not None
    deploy(target.emulator, lambda line: console.print(f"… {line}"))
    return f"{len(target.outputs)} outputs, API {target.outputs['ApiId']}"


def _trained(target: Target, project: str) -> str:
    champion = target.aliases.read(project).champion
    if champion:
        return f"champion {champion} is there already"
    console.print(f"… training {project}")
    keys = upload(target, project, sample_files(project))
    end = run_training(target, project, keys, new_run_id(), partial(show_state, indent="    "))
    if end.status != "SUCCEEDED":
        raise RuntimeError(f"training {project} {end.status}: {end.output}")
    console.print(outcome_line(end.output))
    return f"{end.output['outcome']}: {end.output['model_version']}"


def _predicted(target: Target, project: str, row: dict[str, Any]) -> str:
    answer = target.call("POST", f"/projects/{project}/predict", {"inputs": row})
    if answer.status != 200:
        raise RuntimeError(f"predict {project}: {answer.status}: {answer.body}")
    body = answer.body
    if "confidence" in body:
        worth = body.get("business_value")
        shown = "" if worth is None else f", business value {worth:.2f} ({body['band']})"
        return f"class {body['prediction']} (confidence {body['confidence']:.2f}){shown}"
    return f"value {body['value']:.2f}"


def _print_next_steps(target: Target, projects: list[str]) -> None:
    project = projects[0]
    body = json.dumps({"inputs": _ROWS[project][0]}, ensure_ascii=False)
    key = target.api_key("user")
    console.print(
        f"\nThe API runs at {target.api_url}\n\n"
        f"curl -s -X POST '{target.api_url}/projects/{project}/predict' \\\n"
        f"  -H 'x-api-key: {key}' -H 'content-type: application/json' \\\n"
        f"  -d '{body}'\n\n"
        f"the training report:  .venv/bin/noria report {project}\n"
        "keys of the API:      .venv/bin/noria keys list\n"
        "stop it:              .venv/bin/noria down",
        markup=False,
    )
