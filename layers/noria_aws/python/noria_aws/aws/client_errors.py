"""Translate botocore's errors, once, at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from noria.errors import SettingsError, StoreUnavailableError

_PASSING = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_ABSENT = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})


@contextmanager
def translated(doing: str, *, key: str | None = None) -> Iterator[None]:
    """Turn an absent key into KeyError, a passing failure into StoreUnavailableError.

    What no retry can cure (no right, no such bucket) is a SettingsError.

    Conditional failures pass through: they are answers, and the adapter reads them.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _ABSENT and key is not None:
            raise KeyError(key) from error
        if code in CONDITIONAL:
            raise
        if code in _PASSING or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise StoreUnavailableError(f"{doing}: {error}", doing=doing, code=code) from error
        raise SettingsError(f"{doing}: {error}", doing=doing, code=code) from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailableError(f"{doing}: {error}", doing=doing) from error


CONDITIONAL = frozenset(
    {
        "ConditionalCheckFailedException",
        "ConditionalRequestConflict",
        "PreconditionFailed",
        "TransactionCanceledException",
    }
)


def require_condition(error: ClientError) -> None:
    """Raise the error again unless a conditional write found its condition unmet."""
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
