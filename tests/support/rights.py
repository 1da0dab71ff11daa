"""What the functions' roles may do, and what they did while the integration tests ran.

The emulator refuses what a role does not grant, so that no test passes on a missing right. This
is the other side: `python -m tests.support.rights` holds the calls of the last run of all
integration tests against the roles and lists what is granted and was never used.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.target import Target
from infra.names import ROOT

FOLDER = ROOT / "build" / "rights"
MOST_UNUSED = 3  # grants of one role that no test needs
_OF_THE_RUNTIME = ("logs:", "xray:")  # used by Lambda itself
_SUFFIX = re.compile(r"(noria-local-(?:storage|platform)-[A-Za-z]+)[A-Za-z0-9-]*")
_BY_SERVICES = (  # of a queue's events, dead letters, and so that what is absent answers 404
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
    "sqs:ChangeMessageVisibility", "s3:ListBucket",
)  # fmt: skip

Grant = tuple[str, str]  # action, pattern of resources


@dataclass(frozen=True)
class RoleUse:
    """One role after the tests."""

    role: str
    n_calls: int
    unused: tuple[Grant, ...]
    ungranted: tuple[Grant, ...]  # calls that no grant covers


def keep_rights(target: Target, calls: Path) -> None:
    """Write the roles of a running stage, and the calls that its emulator noted, for the table."""
    iam, roles = target.client("iam"), {}
    for page in iam.get_paginator("list_roles").paginate():
        for role in page["Roles"]:
            trusted = json.dumps(role["AssumeRolePolicyDocument"])
            if "lambda.amazonaws.com" in trusted:
                roles[role["RoleName"]] = _grants(iam, role["RoleName"])
    lines = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    FOLDER.mkdir(parents=True, exist_ok=True)
    document = {"roles": roles, "calls": [json.loads(line) for line in lines]}
    (FOLDER / f"{os.getpid()}.json").write_text(json.dumps(document), encoding="utf-8")


def used(
    roles: Mapping[str, Iterable[Grant]], calls: Iterable[tuple[str, str, str]]
) -> list[RoleUse]:
    """Return what each role was granted and did, in order of their names."""
    by_role: dict[str, set[Grant]] = {role: set() for role in roles}
    for role, action, resource in calls:
        if role in by_role:
            by_role[role].add((action, resource))
    found = []
    for role in sorted(roles):
        grants = [g for g in roles[role] if not g[0].startswith(_OF_THE_RUNTIME)]
        grants = [g for g in grants if g[0] not in _BY_SERVICES and "DeadLetters" not in g[1]]
        made = by_role[role]
        unused = tuple(g for g in grants if not any(_covers(g, call) for call in made))
        bare = tuple(sorted(c for c in made if not any(_covers(g, c) for g in roles[role])))
        found.append(RoleUse(role, len(made), unused, bare))
    return found


def _covers(grant: Grant, call: Grant) -> bool:
    return grant[0].lower() == call[0].lower() and fnmatchcase(call[1], grant[1])


def _grants(iam: Any, role: str) -> list[Grant]:
    grants = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                grants += [
                    (action, resource)
                    for action in _many(statement["Action"])
                    for resource in _many(statement["Resource"])
                ]
    return grants


def _many(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _read(paths: Iterable[Path]) -> tuple[dict[str, set[Grant]], list[tuple[str, str, str]]]:
    """Return roles and calls of several emulators, without the suffixes that differ there."""
    roles: dict[str, set[Grant]] = {}
    calls: list[tuple[str, str, str]] = []
    for path in paths:
        found = json.loads(path.read_text(encoding="utf-8"))
        for role, grants in found["roles"].items():
            plain = {(action, _plain(where)) for action, where in grants}
            roles.setdefault(_name(role), set()).update(plain)
        calls += [(_name(role), action, _plain(where)) for role, action, where in found["calls"]]
    return roles, calls


def _name(role: str) -> str:
    """Return "StepscheckdriftRole" of "noria-local-platform-StepscheckdriftRole534946C7-4…"."""
    return _plain(role).rpartition("-")[2]


def _plain(name: str) -> str:
    return _SUFFIX.sub(r"\1", name)


def main() -> int:
    """Print the table; 1 where a role has more than `MOST_UNUSED` grants that no test used."""
    found = used(*_read(sorted(FOLDER.glob("*.json"))))
    table = Table("role", "calls", "granted, never used")
    for role in found:
        unused = "\n".join(" ".join(grant) for grant in role.unused)
        bare = "".join(f"\nnot granted: {' '.join(call)}" for call in role.ungranted[:5])
        table.add_row(role.role, str(role.n_calls), unused + bare)
    Console(width=200).print(table)
    exercised = [role for role in found if role.n_calls]
    print(f"{len(exercised)} of {len(found)} roles were exercised")
    too_many = [r.role for r in exercised if len(r.unused) > MOST_UNUSED or r.ungranted]
    for name in too_many:
        print(f"more than {MOST_UNUSED} unused grants, or a call without one: {name}")
    return 1 if too_many or not exercised else 0


if __name__ == "__main__":
    sys.exit(main())
