"""A key of the API as it is filed, and what it lets its holder do. Standard library only."""

from typing import NamedTuple

ALL_PROJECTS = "*"


class Grant(NamedTuple):
    """What the holder of a key may do, as the authorizer hands it to the functions."""

    key_id: str
    name: str
    scopes: tuple[str, ...]  # "user", "admin", or operations
    projects: tuple[str, ...]  # names, or ALL_PROJECTS alone
    is_limited: bool = True  # whether the limits a minute hold

    @property
    def actor(self) -> str:
        """Whom the history and the audit log name."""
        return f"key {self.key_id} ({self.name})"

    def covers(self, project: str) -> bool:
        """Return whether the key is good for a project."""
        return self.projects == (ALL_PROJECTS,) or project in self.projects


class AccessKey(NamedTuple):
    """One key: its digest in place of its value, and what it grants.

    Times are UTC, ISO 8601, whole seconds; no key is without an end.
    """

    digest: str  # SHA-256 of the value, hexadecimal
    name: str
    scopes: tuple[str, ...]
    projects: tuple[str, ...]
    tier: str  # the gateway's plan that its calls count for
    created_at: str
    expires_at: str
    is_limited: bool = True
    replaces: str | None = None  # the id of the key that it was rotated from
    revoked_at: str | None = None
    last_used_on: str | None = None  # a day

    @property
    def key_id(self) -> str:
        """What logs, histories and people call it: the first 48 bits of the digest."""
        return self.digest[:12]

    @property
    def grant(self) -> Grant:
        """What its holder may do."""
        return Grant(self.key_id, self.name, self.scopes, self.projects, self.is_limited)
