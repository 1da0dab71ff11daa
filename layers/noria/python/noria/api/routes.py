"""The routes of the HTTP API: what handlers answer, API Gateway offers and the document describes.

Standard library only, names and paths alone: a cold start of predict imports it, and so does the
infrastructure. A route without a scope cannot be declared, so none is open.
"""

from typing import Literal, NamedTuple

Scope = Literal["user", "admin"]
FunctionName = Literal["predict", "operate"]
LimitName = Literal["predict", "batch", "admin", "promote", "shared"]
USER: Scope = "user"
ADMIN: Scope = "admin"
PREDICT: FunctionName = "predict"
# What starts machines and moves champions has a function with these rights of its own.
OPERATE: FunctionName = "operate"
ITEMS = ("job_id", "check_id", "run_id")  # what a path names besides the project


class Route(NamedTuple):
    """One operation of the API."""

    method: Literal["GET", "POST"]
    path: str  # as API Gateway's resource
    scope: Scope  # an admin key may call both
    operation: str
    summary: str
    function: FunctionName = PREDICT  # which of the API's two functions answers it
    query: tuple[str, ...] = ()  # parameters that it takes after the path

    @property
    def limit(self) -> LimitName:
        """Which limit a minute holds for it; each key, project and operation counts apart."""
        if "{project}" not in self.path:
            return "shared"
        if self.operation in _BATCHES:
            return "batch"
        if self.operation in _MOVES:
            return "promote"
        return "admin" if self.scope == ADMIN else "predict"

    @property
    def is_audited(self) -> bool:
        """Whether what it does is written into the audit log."""
        return self.scope == ADMIN and self.method == "POST"

    @property
    def parameters(self) -> list[str]:
        """What the path names, in order."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


_BATCHES = frozenset({"predict_batch", "create_job"})
_MOVES = frozenset({"promote", "roll_back"})
_PROJECT = "/projects/{project}"
_WATCHED = f"{_PROJECT}/monitoring"
ROUTES = (
    Route("GET", "/health", USER, "health", "State of every project; degraded with the reason"),
    Route("GET", "/openapi.json", USER, "document", "This API as an OpenAPI document", OPERATE),
    Route("POST", f"{_PROJECT}/predict", USER, "predict", "Answer one row"),
    Route("POST", f"{_PROJECT}/predict/batch", USER, "predict_batch", "Answer 1 to 100 rows"),
    Route("GET", f"{_PROJECT}/model", USER, "model", "What serves the project"),
    Route("POST", f"{_PROJECT}/feedback", USER, "feedback", "File true labels, one or many"),
    Route(
        "GET", f"{_WATCHED}/drift", USER, "drift", "What has moved, by the last check",
        query=("window",),
    ),
    Route(
        "GET", f"{_WATCHED}/metrics", USER, "metrics", "The day in numbers",
        query=("date",),
    ),
    Route(
        "GET", f"{_WATCHED}/features", USER, "features", "Each column then and now",
        query=("threshold", "window"),
    ),
    Route("GET", f"{_WATCHED}/performance", USER, "performance", "How good the champion is"),
    Route(
        "POST", f"{_WATCHED}/baseline", ADMIN, "baseline", "Call the last hours normal", OPERATE
    ),
    Route("POST", f"{_PROJECT}/batch-jobs", USER, "create_job", "Score a whole file"),
    Route("GET", f"{_PROJECT}/batch-jobs/{{job_id}}", USER, "job", "How a batch job stands"),
    Route(
        "POST", f"{_PROJECT}/batch-jobs/{{job_id}}/cancel", USER, "cancel_job", "Stop a batch job"
    ),
    Route("POST", f"{_WATCHED}/checks", ADMIN, "start_check", "Check the champion now", OPERATE),
    Route(
        "GET", f"{_WATCHED}/checks/{{check_id}}", ADMIN, "check", "How a check stands or ended",
        OPERATE,
    ),
    Route("POST", f"{_PROJECT}/trainings", ADMIN, "start_training", "Train now", OPERATE),
    Route(
        "GET", f"{_PROJECT}/trainings/{{run_id}}", ADMIN, "training",
        "How a training stands or ended", OPERATE,
    ),
    Route(
        "POST", f"{_PROJECT}/promotions", ADMIN, "promote", "Make a registered version champion",
        OPERATE,
    ),
    Route(
        "POST", f"{_PROJECT}/rollback", ADMIN, "roll_back", "Return to an earlier champion", OPERATE
    ),
    Route(
        "POST", f"{_PROJECT}/approval", ADMIN, "answer_approval",
        "Approve or reject the rollout that waits", OPERATE,
    ),
    Route("GET", f"{_PROJECT}/history", ADMIN, "history", "Promotions, newest first"),
    Route(
        "GET", "/audit", ADMIN, "audit", "What admins did, newest first", OPERATE,
        query=("before", "limit"),
    ),
)  # fmt: skip
