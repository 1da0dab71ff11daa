"""A patch: a reference to a secret in a template is its ARN."""

from typing import Any

from ministack.services import secretsmanager
from ministack.services.cloudformation import provisioners

from infra.local.pinned import require, require_parameters

_KIND = "AWS::SecretsManager::Secret"


def refer_to_secrets_by_arn() -> None:
    """AWS: `Ref` of a secret is its ARN; MiniStack gives its name, which no right is granted on."""
    handlers: dict[str, Any] = provisioners._RESOURCE_HANDLERS[_KIND]
    create, update, delete = (handlers[name] for name in ("create", "update", "delete"))
    require_parameters(create, ["logical_id", "props", "stack_name"])
    require_parameters(delete, ["physical_id", "props"])
    require(handlers.get("update_with_logical_id") is True, "how secrets are updated")

    def by_arn(made: Any) -> Any:
        _, attributes = made
        return attributes["Arn"], attributes

    def name_of(arn: str) -> str:
        return str(secretsmanager._resolve(arn)[0])

    def created(logical_id: str, props: Any, stack_name: str) -> Any:
        return by_arn(create(logical_id, props, stack_name))

    def updated(physical_id: str, *arguments: Any, **named: Any) -> Any:
        return by_arn(update(name_of(physical_id), *arguments, **named))

    def deleted(physical_id: str, props: Any) -> Any:
        return delete(name_of(physical_id), props)

    handlers |= {"create": created, "update": updated, "delete": deleted}
