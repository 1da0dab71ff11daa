"""Every error Noria raises, in families chosen by what the caller must do.

::

    NoriaError
      SpecError                   fix the project spec; never retry
        UnknownProjectError  InvalidSpecError
      DataError                   the dataset or the request is wrong; tell its owner
        DatasetSchemaError  InvalidInputError
      ModelError                  the model cannot be used; keep the champion
        TrainingFailedError  ModelIncompatibleError  ModelCorruptError
      RegistryError
        ModelVersionNotFoundError  ModelVersionConflictError
        AliasConflictError  NoChampionError  NoCheckError  NoJobError  NoRunError
        NoApprovalError
      AccessError                 the caller may not, or not now
        TooManyRequestsError  KeyNotFoundError  TokenRefusedError
      TransientError              retry with back-off
        StoreUnavailableError
      SettingsError               the deployment is wrong; page the operator

Step Functions matches the exact class name, so these names are public API.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class NoriaError(Exception):
    """Base of the tree: a message for people and `details` for machines.

    Parameters
    ----------
    message : str
        What happened, where, what was expected, what was found, what to do.
    **details : JSON-serialisable
        The same facts by name, for logs and problem documents.
    """

    transient: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def to_dict(self) -> Mapping[str, Any]:
        """Return the error as one JSON object: type, message and details."""
        return {"error": type(self).__name__, "message": self.message, **self.details}


class SpecError(NoriaError):
    """The project spec must be fixed; a retry cannot help."""


class UnknownProjectError(SpecError):
    """No project of that name is deployed."""


class InvalidSpecError(SpecError):
    """A spec file does not parse, has unknown keys or contradicts itself."""


class DataError(NoriaError):
    """The rows are wrong; nothing is lost, their owner must be told."""


class DatasetSchemaError(DataError):
    """A whole file cannot be read as rows of the project's schema."""


class InvalidInputError(DataError):
    """A prediction request has fields that cannot be scored.

    `errors` in the details lists every offending field with its reason.
    """


class BatchCancelledError(DataError):
    """The batch job was cancelled."""


class ModelError(NoriaError):
    """A model cannot be used; the champion keeps serving."""


class TrainingFailedError(ModelError):
    """No candidate could be fitted."""


class ModelIncompatibleError(ModelError):
    """The serving bundle does not reproduce the training pipeline."""


class ModelCorruptError(ModelError):
    """An artifact's bytes differ from the hash its manifest records."""


class RegistryError(NoriaError):
    """The registry refused the operation."""


class ModelVersionNotFoundError(RegistryError):
    """The model version has no complete manifest."""


class ModelVersionConflictError(RegistryError):
    """Another run already wrote different content under this version."""


class AliasConflictError(RegistryError):
    """Someone else moved the alias since it was read."""


class NoChampionError(RegistryError):
    """The project has no champion that could answer."""


class NoJobError(RegistryError):
    """There is no batch job of that id."""


class NoCheckError(RegistryError):
    """No monitoring check has been made yet."""


class NoRunError(RegistryError):
    """There is no training or check of that id."""


class NoApprovalError(RegistryError):
    """No rollout waits for an approval."""


class AccessError(NoriaError):
    """The caller's key does not let this through."""


class TooManyRequestsError(AccessError):
    """The key has sent as many requests as it may; `retry_after` says when it may again, in s."""


class KeyNotFoundError(AccessError):
    """There is no such key."""


class TokenRefusedError(AccessError):
    """A token that opens nothing; the message says why, for the log."""


class TransientError(NoriaError):
    """A retry with back-off may succeed."""

    transient = True


class StoreUnavailableError(TransientError):
    """The object store, table or stream did not answer in time or throttled the call."""


class SettingsError(NoriaError):
    """The deployment is wrong: a setting is missing or malformed."""
