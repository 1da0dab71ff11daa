"""A patch: API Gateway counts a call for the API key that the authorizer names."""

import json
from contextvars import ContextVar
from typing import Any

from ministack.services import apigateway_v1

from infra.local.pinned import require_parameters

_NAMED = "usageIdentifierKey"
_named: ContextVar[str | None] = ContextVar("usage identifier key", default=None)


def take_keys_from_authorizers() -> None:
    """AWS: with the key source AUTHORIZER the caller's own header names no API key.

    The authorizer's `usageIdentifierKey` does. MiniStack reads the header alone, drops what the
    authorizer says, and forgets the key source of an API that CloudFormation creates: here every
    method with an authorizer is asked this way.
    """
    invoke, authorize = apigateway_v1._invoke_authorizer_lambda, apigateway_v1._authorize_request_v1
    check = apigateway_v1._check_api_key
    require_parameters(invoke, ["authorizer", "event", "account_id", "region"])
    require_parameters(check, ["method_obj", "api_id", "stage_name", "headers"])

    async def invoke_and_keep(*args: Any) -> Any:
        """Let the name survive MiniStack's cache: in the context, which is cached."""
        result = await invoke(*args)
        body = (result or {}).get("body")
        answer = json.loads(body) if isinstance(body, str | bytes) else body
        if isinstance(answer, dict) and _NAMED in answer:
            context = {**(answer.get("context") or {}), _NAMED: answer[_NAMED]}
            return {**result, "body": {**answer, "context": context}}
        return result

    async def authorize_and_note(*args: Any) -> Any:
        error, context = await authorize(*args)
        context = dict(context) if context is not None else None
        _named.set(context.pop(_NAMED, None) if context else None)
        return error, context

    def check_named(method_obj: Any, api_id: Any, stage_name: Any, headers: Any) -> Any:
        if method_obj.get("authorizationType") == "CUSTOM":
            headers = {"x-api-key": _named.get() or ""}
        return check(method_obj, api_id, stage_name, headers)

    apigateway_v1._invoke_authorizer_lambda = invoke_and_keep
    apigateway_v1._authorize_request_v1 = authorize_and_note
    apigateway_v1._check_api_key = check_named
