"""What a grant allows, and how API Gateway hands it from the authorizer to the functions.

Standard library only: a cold start of predict imports it.
"""

from collections.abc import Mapping

from noria.records.access import Grant

_ADMIN = "admin"


def allows(grant: Grant, operation: str, scope: str) -> bool:
    """Return whether a key may call an operation of a scope; an admin key may call both."""
    return operation in grant.scopes or scope in grant.scopes or _ADMIN in grant.scopes


def to_context(grant: Grant) -> dict[str, str]:
    """Return a grant as texts: API Gateway hands on nothing else."""
    return {
        "name": grant.name,
        "scopes": " ".join(grant.scopes),
        "projects": " ".join(grant.projects),
        "limited": "true" if grant.is_limited else "false",
    }


def from_context(context: Mapping[str, object]) -> Grant | None:
    """Return the grant of a request; None where no authorizer has spoken."""
    found = [context.get(name) for name in ("principalId", "name", "scopes", "projects")]
    texts = [text for text in found if isinstance(text, str) and text]
    if len(texts) < len(found):
        return None
    key_id, name, scopes, projects = texts
    is_limited = context.get("limited") != "false"
    return Grant(key_id, name, tuple(scopes.split()), tuple(projects.split()), is_limited)
