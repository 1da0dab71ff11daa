"""The audit log as the API shows it: newest first, page by page."""

from collections.abc import Mapping

from noria.api.bodies import Shown, invalid
from noria.ports import AuditLog
from noria.records.access import ALL_PROJECTS, Grant
from noria.records.codec import encode

MAX_ENTRIES, _DEFAULT_ENTRIES = 100, 50
MAX_NUMBER = 10**12 - 1


def audit_page(log: AuditLog, grant: Grant, query: Mapping[str, str]) -> Shown:
    """Return entries of the projects that a key covers; `next` is the `before` of the next page.

    Parameters
    ----------
    query : mapping
        `before`, the number that entries are below; `limit`, how many are looked at, 1 to 100.
    """
    limit = _number(query, "limit", MAX_ENTRIES) or _DEFAULT_ENTRIES
    entries = log.before(_number(query, "before", MAX_NUMBER), limit)
    shown = [encode(entry) for entry in entries if _is_covered(grant, entry.project)]
    return {"entries": shown, "next": entries[-1].number if len(entries) == limit else None}


def _is_covered(grant: Grant, project: str | None) -> bool:
    return grant.projects == (ALL_PROJECTS,) if project is None else grant.covers(project)


def _number(query: Mapping[str, str], name: str, most: int) -> int | None:
    if name not in query:
        return None
    text = query[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and 1 <= int(text) <= most):
        raise invalid(name, f"must be a number from 1 to {most}")
    return int(text)
