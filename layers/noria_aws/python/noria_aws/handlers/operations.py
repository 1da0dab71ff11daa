"""The composition root of the API's operations for admins."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from noria.access.audit import Act, Auditor
from noria.access.limits import RequestLimits
from noria.api.audit import audit_page
from noria.api.operations import Operator, OperatorPorts
from noria.api.routes import OPERATE, ROUTES
from noria.errors import UnknownProjectError
from noria.ports import AuditLog
from noria.spec.model import ProjectSpec
from noria_aws.aws.clock import SystemClock
from noria_aws.aws.settings import limits
from noria_aws.handlers.bootstrap import bootstrap, deployed_projects
from noria_aws.handlers.http_api import Call, Operation, Operations
from noria_aws.handlers.runtime import log_event


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
    auditor = Auditor(services.audit_log, ports.artifacts, ports.aliases, SystemClock(), _report)
    return operations_of(
        Operator(ports), deployed_projects(), ports.spec, auditor, services.audit_log
    )


def deployed_limits() -> RequestLimits:
    """Return how many requests a minute are let through."""
    services = bootstrap()
    return RequestLimits(limits(), services.request_counts, SystemClock())


def _report(event: str, facts: Mapping[str, Any]) -> None:
    log_event(event, **facts)


def operations_of(
    operator: Operator,
    projects: list[str],
    spec: Callable[[str], ProjectSpec],
    auditor: Auditor,
    audit_log: AuditLog,
) -> Operations:
    """Return the operations by the names of their routes; of deployed projects alone."""

    @cache
    def document(names: tuple[str, ...]) -> dict[str, Any]:
        from noria.api.openapi.document import api_document  # most requests never need it

        return api_document(map(spec, names))

    answers: dict[str, Callable[[str, Call], dict[str, Any]]] = {
        "start_check": lambda project, call: operator.start_check(project, call.body),
        "check": lambda project, call: operator.read_check(project, call.item),
        "start_training": lambda project, call: operator.start_training(project, call.body),
        "training": lambda project, call: operator.read_training(project, call.item),
        "promote": lambda project, call: operator.promote(project, call.body, call.caller),
        "roll_back": lambda project, call: operator.roll_back(project, call.body, call.caller),
        "answer_approval": lambda project, call: operator.answer_approval(
            project, call.body, call.caller
        ),
        "baseline": lambda project, call: operator.set_baseline(project, call.body),
    }
    found: dict[str, Operation] = {
        "document": lambda call: document(tuple(filter(call.grant.covers, projects))),
        "audit": lambda call: audit_page(audit_log, call.grant, call.query),
    }
    for route in ROUTES:
        if route.function == OPERATE and route.operation in answers:
            answer = answers[route.operation]
            if route.is_audited:
                answer = _audited(auditor, route.operation, answer)
            found[route.operation] = _of_project(projects, answer)
    return found


def _of_project(projects: list[str], answer: Callable[[str, Call], dict[str, Any]]) -> Operation:
    def checked(call: Call) -> dict[str, Any]:
        if call.project not in projects:
            raise UnknownProjectError(f"project '{str(call.project)[:40]}' is not deployed")
        return answer(str(call.project), call)

    return checked


def _audited(
    auditor: Auditor, operation: str, answer: Callable[[str, Call], dict[str, Any]]
) -> Callable[[str, Call], dict[str, Any]]:
    def written_down(project: str, call: Call) -> dict[str, Any]:
        request = call.body if isinstance(call.body, Mapping) else {"body": call.body}
        act = Act(call.caller, operation, project, request)
        return auditor.audited(act, lambda: answer(project, call))

    return written_down
