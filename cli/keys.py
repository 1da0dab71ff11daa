"""Commands about the keys of the API: create, list, rotate, revoke; and the audit log."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.display import console, table
from cli.shared import Json, Stage, checked, show, told
from cli.target import Target
from infra.names import LOCAL_STAGE as LOCAL
from noria.access.keys import Wanted, issue, rotated, state_of
from noria.api.routes import ROUTES
from noria.errors import KeyNotFoundError
from noria.ports import AccessKeys
from noria.records.access import ALL_PROJECTS, AccessKey

keys_app = typer.Typer(
    no_args_is_help=True,
    help="Make, list, replace and revoke the keys of the API.\n\n"
    "A key is shown once, when it is made; only its SHA-256 is kept. One that is revoked may "
    "open the API for up to a minute more.",
)
KeyId = Annotated[str, typer.Argument(help="The key's id, as `noria keys list` shows it.")]
Days = Annotated[int, typer.Option(help="After how many days it ends, at most 3650.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (create, list_, rotate, revoke):
        keys_app.command(command.__name__.rstrip("_"))(command)
    app.add_typer(keys_app, name="keys")
    app.command()(audit)


def create(
    name: Annotated[str, typer.Argument(help="Whose it is or what for, as logs show it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="user, admin, or an operation of the API; repeat for several."),
    ] = None,
    project: Annotated[
        list[str] | None,
        typer.Option(help="A project it is good for; repeat for several. Default: all."),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="The plan it counts for. Default: that of its scope.")
    ] = "",
    days: Days = 365,
    unlimited: Annotated[
        bool, typer.Option("--unlimited", help="The specs' limits a minute do not hold for it.")
    ] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Make a key and show it: this once."""
    with told():
        target = Target(stage)
        projects = [checked(one) for one in project] if project else [ALL_PROJECTS]
        _require_tier(target, tier)
        wanted = Wanted(name, scope or ["user"], projects, tier, days, not unlimited)
        new = issue(wanted, datetime.now(UTC), [route.operation for route in ROUTES])
        target.audited("create_key", None, _facts(new.key), lambda: target.access_keys.add(new.key))
        _show_new(new.value, new.key, as_json=as_json)


def list_(stage: Stage = LOCAL, as_json: Json = False) -> None:
    """List the keys, newest first; of the stack on this machine also the values of its own two."""
    with told():
        target, now = Target(stage), datetime.now(UTC)
        tiers = target.outputs["Tiers"].split(",")
        own = [(s, target.api_key(s)) for s in ("user", "admin")] if target.emulator else []
        keys = target.access_keys.all()
        rows = [
            (
                key.key_id, key.name, " ".join(key.scopes), " ".join(key.projects), key.tier,
                _state(key, now, tiers), key.expires_at[:10], key.last_used_on,
            )
            for key in keys
        ]  # fmt: skip
        columns = ("id", "name", "scopes", "projects", "tier", "state", "ends", "last used")
        data = [_facts(key) | {"state": _state(key, now, tiers)} for key in keys]
        show(as_json, data, lambda: table(f"Keys of {stage}", columns, rows))
        if own and not as_json:
            console.print(table("Of this machine (header x-api-key)", ("scope", "key"), own))


def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option(help="How long the old key stays good beside the new one.", min=0)
    ] = 24.0,
    days: Days = 365,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Make a key that replaces another one; both are good until the overlap is over."""
    with told():
        target = Target(stage)
        keys = target.access_keys
        old = _key(keys, key_id)
        overlap = timedelta(hours=overlap_hours)
        new, end = rotated(old, datetime.now(UTC), days=days, overlap=overlap)

        def replace() -> None:
            keys.add(new.key)
            keys.end(old.digest, "expires_at", end)

        target.audited("rotate_key", None, _facts(new.key), replace)
        _show_new(new.value, new.key, as_json=as_json)
        if not as_json:
            console.print(f"the old key {key_id} ends at {end[:16]} UTC", markup=False)


def revoke(key_id: KeyId, stage: Stage = LOCAL, as_json: Json = False) -> None:
    """End a key now; API Gateway has forgotten it within a minute."""
    with told():
        target = Target(stage)
        keys = target.access_keys
        key, now = _key(keys, key_id), datetime.now(UTC).isoformat(timespec="seconds")
        if key.revoked_at is None:
            target.audited(
                "revoke_key",
                None,
                {"key_id": key.key_id, "name": key.name},
                lambda: keys.end(key.digest, "revoked_at", now),
            )
        at = key.revoked_at or now
        shown = f"{key_id} ({key.name}) is revoked since {at[:16]} UTC"
        show(as_json, {"key_id": key_id, "revoked_at": at}, lambda: shown)


def audit(
    project: Annotated[str | None, typer.Argument(help="Show this project's alone.")] = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=1000)] = 20,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the whole chain of hashes instead.")
    ] = False,
    stage: Stage = LOCAL,
    as_json: Json = False,
) -> None:
    """Show what admins did, newest first; or check that nothing was changed or left out.

    The hash of each entry lies in the data bucket too, where nothing can be overwritten.
    """
    with told():
        target = Target(stage)
        log = target.audit_log
        if verify:
            _verify(target, as_json=as_json)
            return
        entries: list[Any] = []
        number = None
        while len(entries) < limit:
            page = log.before(number, 100)
            entries += [e for e in page if project is None or e.project == project]
            if len(page) < 100:
                break
            number = page[-1].number
        entries = entries[:limit]
        rows = [
            (e.number, e.at[:16], e.actor, e.operation, e.project, e.outcome, _moved(e), e.error)
            for e in entries
        ]
        columns = ("no.", "at", "who", "operation", "project", "outcome", "champion", "error")
        from noria.records.codec import encode

        show(
            as_json,
            [encode(entry) for entry in entries],
            lambda: table(f"Audit log of {stage}, newest first", columns, rows),
        )


def _verify(target: Target, *, as_json: bool) -> None:
    from noria.access.audit import faults_of

    log = target.audit_log
    entries: list[Any] = []
    while page := log.before(entries[-1].number if entries else None, 100):
        entries += page
    faults = faults_of(reversed(entries), target.artifacts)
    last = {"number": entries[0].number, "hash": entries[0].hash} if entries else None
    data = {"n_entries": len(entries), "last": last, "faults": faults}
    end = f", the last is {last['number']} with hash {last['hash']}" if last else ""
    lines = [f"{len(entries)} entries{end}", *(faults or ["none was changed, none is missing"])]
    show(as_json, data, lambda: "\n".join(lines))
    if faults:
        raise typer.Exit(1)


def _moved(entry: Any) -> str | None:
    if entry.outcome != "done" or entry.before == entry.after:
        return None
    return f"{entry.before.champion} → {entry.after.champion}"


def _key(keys: AccessKeys, key_id: str) -> AccessKey:
    for key in keys.all():
        if key.key_id == key_id:
            return key
    raise KeyNotFoundError(f"there is no key {key_id[:60]}; see: noria keys list")


def _state(key: AccessKey, at: datetime, tiers: list[str]) -> str:
    """Return whether a key is good; one whose tier is not deployed any more opens nothing."""
    state = state_of(key, at)
    return "its tier is gone" if state == "good" and key.tier not in tiers else state


def _require_tier(target: Target, tier: str) -> None:
    known = target.outputs["Tiers"].split(",")
    if tier and tier not in known:
        raise ValueError(f"there is no tier '{tier}'; there are: {', '.join(known)}")


def _facts(key: AccessKey) -> dict[str, Any]:
    """Return a key without its digest: what it grants, and since when."""
    facts = key._asdict()
    del facts["digest"]
    return {"key_id": key.key_id, **facts}


def _show_new(value: str, key: AccessKey, *, as_json: bool) -> None:
    lines = (
        f"{value}\n"
        f"id {key.key_id}, {key.name}: {' '.join(key.scopes)} of "
        f"{' '.join(key.projects) if key.projects != (ALL_PROJECTS,) else 'all projects'}, "
        f"until {key.expires_at[:10]}. It is not shown again: keep it where secrets are kept."
    )
    show(as_json, {"value": value, **_facts(key)}, lambda: lines)
