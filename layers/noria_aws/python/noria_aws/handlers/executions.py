"""What EventBridge says of a state machine's execution that did not succeed, as an alert."""

import json
from collections.abc import Mapping
from typing import Any

from noria import errors
from noria.reporting.words import ended_text

# Where services put the sentence in a cause that is JSON: Lambda, SageMaker, Glue.
_SENTENCES = ("errorMessage", "FailureReason", "ErrorMessage")


def alert_of_execution(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the request of an alert for an execution that failed, timed out or was stopped.

    Parameters
    ----------
    event : Mapping[str, Any]
        Of the type "Step Functions Execution Status Change". The execution's input names the
        project, or the key of a file of the project's batch inbox.

    Raises
    ------
    KeyError
        The input names no project. AWS leaves an input of more than 248 KB out.
    """
    detail = event["detail"]
    given = json.loads(detail["input"] or "{}")
    project = given["project"] if "project" in given else given["key"].split("/")[1]
    status, name = detail["status"], detail["name"]
    redriven = detail.get("redriveCount") or 0
    return {
        "project": project,
        "event": "RunStopped" if status == "ABORTED" else "RunFailed",
        # The same event may come twice; a run that was redriven may fail twice.
        "occurrence": f"{name}-{redriven}" if redriven else name,
        "summary": ended_text(name, status, detail.get("error"), _sentence(detail.get("cause"))),
    }


def _sentence(cause: str | None) -> str | None:
    """Return what a cause says, without the service's report and stack trace around it.

    What a function fails at that is no error of Noria's may quote a cell; its log has it.
    """
    try:
        report = json.loads(cause or "")
    except ValueError:
        return cause
    if not isinstance(report, dict):
        return cause
    kind = str(report.get("errorType", ""))
    is_lambdas = kind.startswith(("Runtime.", "Sandbox."))  # how long, or that it was killed
    if kind and not is_lambdas and not hasattr(errors, kind):
        return "not foreseen; the log of the state's function says more"
    found = [report[key] for key in _SENTENCES if key in report]
    return str(found[0]) if found else cause
