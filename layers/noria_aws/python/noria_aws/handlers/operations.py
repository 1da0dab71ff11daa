"""The composition root of the API's operations for admins."""

from collections.abc import Callable
from functools import cache
from typing import Any

from noria.api.operations import Operator, OperatorPorts
from noria.errors import UnknownProjectError
from noria.spec.model import ProjectSpec
from noria_aws.handlers.bootstrap import bootstrap, deployed_projects
from noria_aws.handlers.http_api import Call, Operations


def deployed_operations() -> Operations:
    """Return the operations on the deployment."""
    services = bootstrap()
    ports = OperatorPorts(
        artifacts=services.artifacts,
        aliases=services.aliases,
        state=services.state,
        executions=services.executions,
        waiting=services.waiting_executions,
        clock=services.clock,
        spec=services.spec,
    )
    return operations_of(Operator(ports), deployed_projects(), ports.spec)


def operations_of(
    operator: Operator, projects: list[str], spec: Callable[[str], ProjectSpec]
) -> Operations:
    """Return the operations by the names of their routes; of deployed projects alone."""

    @cache
    def document() -> dict[str, Any]:
        from noria.api.openapi.document import api_document  # most requests never need it

        return api_document(map(spec, projects))

    def of_project(answer: Callable[[str, Call], dict[str, Any]]) -> Callable[[Call], Any]:
        def checked(call: Call) -> dict[str, Any]:
            if call.project not in projects:
                raise UnknownProjectError(f"project '{str(call.project)[:40]}' is not deployed")
            return answer(str(call.project), call)

        return checked

    return {
        "document": lambda _: document(),
        "start_check": of_project(lambda project, call: operator.start_check(project, call.body)),
        "check": of_project(lambda project, call: operator.read_check(project, call.item)),
        "start_training": of_project(
            lambda project, call: operator.start_training(project, call.body)
        ),
        "training": of_project(lambda project, call: operator.read_training(project, call.item)),
        "promote": of_project(
            lambda project, call: operator.promote(project, call.body, call.caller)
        ),
        "roll_back": of_project(
            lambda project, call: operator.roll_back(project, call.body, call.caller)
        ),
        "answer_approval": of_project(
            lambda project, call: operator.answer_approval(project, call.body, call.caller)
        ),
    }
