"""What an admin starts and decides over the API: checks, trainings, promotions, approvals."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noria.api.bodies import Given, Shown, invalid
from noria.api.checks import set_baseline
from noria.data.source_lists import passed_keys
from noria.errors import (
    AliasConflictError,
    ModelError,
    ModelVersionNotFoundError,
    NoApprovalError,
    NoRunError,
)
from noria.ports import (
    Clock,
    Execution,
    Executions,
    MachineName,
    ModelAliases,
    ProjectState,
    SearchableStore,
    WaitingExecutions,
)
from noria.promotion.by_hand import ByHand, promote_by_hand, roll_back
from noria.records.alias import AliasRecord
from noria.records.approval import PendingApproval
from noria.records.codec import from_bytes
from noria.spec.model import ProjectSpec
from noria.storage.keys import APPROVAL, SOURCE_KEYS, inbox_prefix, run_key

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,59}")
_HOWS = ("search", "refit", "recalibrate")
_OF_CHECK = ("outcome", "health", "summary", "report", "training")
MAX_FILES, MAX_TEXT_CHARACTERS = 1000, 500


@dataclass(frozen=True)
class OperatorPorts:
    """What the operations need from the outside."""

    artifacts: SearchableStore
    aliases: ModelAliases
    state: ProjectState
    executions: Executions
    waiting: WaitingExecutions
    clock: Clock
    spec: Callable[[str], ProjectSpec]


class Operator:
    """Starts what the schedules start too, and moves the champion as a person does.

    Each operation takes the project, the request's body and who asks; it raises InvalidInputError
    with the field and the reason for a body that it cannot take.
    """

    def __init__(self, ports: OperatorPorts) -> None:
        self._ports = ports

    def start_check(self, project: str, body: Any) -> Shown:
        """Check the champion now, as its schedule does.

        Parameters
        ----------
        body : {"retrain"?: bool, "force"?: bool, "check_id"?: "…"}
            Whether a training may follow where there is a reason, or reason or not. A `check_id`
            that is there already starts nothing: the answer says how it stands.
        """
        given = _fields(body, ("retrain", "force", "check_id"))
        retrain, force = (_flag(given, name) for name in ("retrain", "force"))
        check_id = self._id(given, "check_id")
        if found := self._known("Monitoring", project, ("check_id", check_id)):
            return {"project": project, "check_id": check_id, **_standing(found)}
        message = {
            "project": project,
            "check_id": check_id,
            "may_retrain": retrain or force,
            "forced": force,
        }
        self._ports.executions.start("Monitoring", check_id, message)
        return {"project": project, "check_id": check_id, "status": "running"}

    def read_check(self, project: str, check_id: str) -> Shown:
        """Return how a check stands, and what it found; NoRunError where there is none."""
        found = self._read("Monitoring", project, check_id)
        shown = {key: found.output.get(key) for key in _OF_CHECK}
        return {"project": project, "check_id": check_id, **_standing(found), **_known(shown)}

    def start_training(self, project: str, body: Any) -> Shown:
        """Train on files of the inbox; what wins must pass the gate as ever.

        Parameters
        ----------
        body : {"how"?: "search", "refit" or "recalibrate", "files"?: ["…"], "run_id"?: "…"}
            `files` are names or keys of the inbox, by default all of them; a name stands for its
            newest upload. A `run_id` that is there already starts nothing: the answer says how it
            stands.
        """
        given = _fields(body, ("how", "files", "run_id"))
        how = given.get("how", "search")
        if how not in _HOWS:
            raise invalid("how", f"must be one of: {', '.join(_HOWS)}")
        spec, aliases = self._ports.spec(project), self._ports.aliases
        if how == "recalibrate" and not spec.can_recalibrate:
            raise invalid("how", "needs calibrated classes and a split by time")
        champion = None if how == "search" else aliases.read(project).require_champion()
        keys = self._files(project, given.get("files"))
        run_id = self._id(given, "run_id")
        if found := self._known("Training", project, ("run_id", run_id)):
            return {"project": project, "run_id": run_id, **_standing(found)}
        passed = passed_keys(self._ports.artifacts, keys, run_key(project, run_id, SOURCE_KEYS))
        message: Shown = {"project": project, "source_keys": passed, "run_id": run_id}
        message |= {"refit_of": champion} if how == "refit" else {}
        message |= {"how": "recalibrate"} if how == "recalibrate" else {}
        self._ports.executions.start("Training", run_id, message)
        shown = {"project": project, "run_id": run_id, "how": how, "n_files": len(keys)}
        return shown | {"status": "running"}

    def read_training(self, project: str, run_id: str) -> Shown:
        """Return how a training stands, and how it ended; NoRunError where there is none."""
        found = self._read("Training", project, run_id)
        keys = ("outcome", "summary", "model_version", "report")
        shown = {key: found.output.get(key) for key in keys}
        return {"project": project, "run_id": run_id, **_standing(found), **_known(shown)}

    def promote(self, project: str, body: Any, caller: str) -> Shown:
        """Make a registered version champion: {"model_version": "…", "reason": "…"}."""
        given = _fields(body, ("model_version", "reason"))
        version, reason = _text(given, "model_version"), _text(given, "reason")
        try:
            record = promote_by_hand(
                project,
                version,
                ByHand(caller, reason),
                artifacts=self._ports.artifacts,
                aliases=self._ports.aliases,
                clock=self._ports.clock,
            )
        except (ModelVersionNotFoundError, ModelError) as error:
            raise invalid("model_version", error.message) from error
        return _moved(record)

    def roll_back(self, project: str, body: Any, caller: str) -> Shown:
        """Leave a champion for an earlier one: {"from": "…", "to"?: "…", "reason"?: "…"}.

        By default for the previous one. `from` is the champion that is to go: a request that is
        sent again must not bring it back. AliasConflictError where another one serves.
        """
        given = _fields(body, ("from", "to", "reason"))
        leaving = _text(given, "from")
        to = _text(given, "to") if "to" in given else None
        reason = _text(given, "reason") if "reason" in given else "rolled back over the API"
        champion = self._ports.aliases.read(project).champion
        if champion != leaving:
            raise AliasConflictError(
                f"{project}: {leaving} does not serve; the champion is {champion}", project=project
            )
        try:
            record = roll_back(
                project,
                to,
                ByHand(caller, reason),
                artifacts=self._ports.artifacts,
                aliases=self._ports.aliases,
                clock=self._ports.clock,
            )
        except (ModelVersionNotFoundError, ModelError) as error:
            raise invalid("to", error.message) from error
        return _moved(record)

    def answer_approval(self, project: str, body: Any, caller: str) -> Shown:
        """Approve or reject a rollout that waits: {"approve": true or false, "model_version": "…"}.

        Raises
        ------
        NoApprovalError
            No rollout of this version waits, or it waits no more.
        """
        given = _fields(body, ("approve", "model_version"))
        version = _text(given, "model_version")
        if "approve" not in given:
            raise invalid("approve", "is required")
        is_approved = _flag(given, "approve")
        stored = self._ports.state.read(project, APPROVAL).body
        if stored is None:
            raise NoApprovalError(f"{project} has no pending approval")
        pending = from_bytes(PendingApproval, stored)
        if pending.model_version != version:
            raise NoApprovalError(f"{version} waits for no approval: {pending.model_version} does")
        if not self._ports.waiting.answer(pending.task_token, is_approved=is_approved, by=caller):
            raise NoApprovalError(
                f"{pending.model_version} waits no more (until {pending.expires_at[:16]})"
            )
        return {"project": project, "model_version": version, "approved": is_approved}

    def set_baseline(self, project: str, body: Any) -> Shown:
        """Call the last hours normal: {"hours"?: 24}."""
        ports = self._ports
        return set_baseline(
            project, body, artifacts=ports.artifacts, aliases=ports.aliases, clock=ports.clock
        )

    def _files(self, project: str, names: Any) -> list[str]:
        """Return the keys of the inbox that are meant, in the order of their upload."""
        files = self._ports.artifacts.under(inbox_prefix(project))
        found = sorted(  # without what the console calls folders
            (file for file in files if not file.key.endswith("/")),
            key=lambda file: file.modified_at,
        )
        if names is None:
            keys = [file.key for file in found]
        else:
            if not isinstance(names, list) or not 1 <= len(names) <= MAX_FILES:
                raise invalid("files", f"must be a list of 1 to {MAX_FILES} names")
            # A later upload replaces an earlier one of the same name.
            known = {name: file.key for file in found for name in (file.key, _name(file.key))}
            if unknown := [n for n in names if not isinstance(n, str) or n not in known]:
                place = names.index(unknown[0])
                raise invalid(f"files.{place}", "there is no such file in the inbox")
            keys = list(dict.fromkeys(known[name] for name in names))
        if not keys:
            raise invalid("files", "the inbox holds none: put files under inbox/ first")
        return keys

    def _id(self, given: Given, name: str) -> str:
        """Return the id that the caller chose, or a new one that sorts by time."""
        if name not in given:
            return f"{self._ports.clock.now():%Y%m%dt%H%M%S}-{secrets.token_hex(4)}"
        found = given[name]
        if not isinstance(found, str) or not RUN_NAME.fullmatch(found):
            raise invalid(name, "must be 1 to 60 letters, digits and dashes")
        return found

    def _known(self, machine: MachineName, project: str, name: tuple[str, str]) -> Execution | None:
        """Return the run of a (field, id) that is there already; it must be this project's."""
        field, chosen = name
        found = self._ports.executions.read(machine, chosen)
        if found is not None and found.project != project:
            raise invalid(field, "names a run of another project")
        return found

    def _read(self, machine: MachineName, project: str, name: str) -> Execution:
        found = self._ports.executions.read(machine, name) if RUN_NAME.fullmatch(name) else None
        if found is None or found.project != project:  # names are of all projects
            raise NoRunError(f"project '{project}' has no run '{name[:60]}'", run_id=name[:60])
        return found


def _standing(found: Execution) -> Shown:
    shown = {"status": found.status, "started_at": _iso(found.started_at)}
    if found.status == "running":
        return shown | _known({"state": found.state})
    return shown | _known({"error": found.error})


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _known(shown: Given) -> Shown:
    return {key: value for key, value in shown.items() if value is not None}


def _moved(record: AliasRecord) -> Shown:
    return {
        "project": record.project,
        "champion": record.champion,
        "previous_champion": record.previous_champion,
        "revision": record.revision,
    }


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _fields(body: Any, allowed: Sequence[str]) -> Given:
    if body is None:
        return {}
    if not isinstance(body, Mapping):
        raise invalid("body", "must be an object")
    if unknown := sorted(set(body) - set(allowed)):
        raise invalid(str(unknown[0])[:40], f"is unknown; allowed: {', '.join(allowed)}")
    return body


def _flag(given: Given, name: str) -> bool:
    found = given.get(name, False)
    if not isinstance(found, bool):
        raise invalid(name, "must be true or false")
    return found


def _text(given: Given, name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str) or not 1 <= len(found.strip()) <= MAX_TEXT_CHARACTERS:
        raise invalid(name, f"must be a text of 1 to {MAX_TEXT_CHARACTERS} characters")
    return found.strip()
