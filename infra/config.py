"""How big and how often: the deployment's settings, from the `noria:` keys of the CDK context.

They are set in `cdk.json` or with `cdk deploy -c noria:stage=prod`. Unknown keys are refused.
"""

import json
import platform
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from infra.names import SPECS, project_names

PREFIX = "noria:"
_PYTHON_312_FROM = (1, 9)  # of the prebuilt scikit-learn images, but for "-py312" of earlier ones
PYTHON_VERSION = "3.13"  # of Lambda, of the layers, and of Glue 6.0 where heavy jobs go

# `-c noria:log_retention_days=90` arrives as a string.
RetentionDays = Annotated[
    Literal[7, 14, 30, 90, 180, 365],
    BeforeValidator(lambda days: int(days) if str(days).isdigit() else days),
]
Days = Annotated[int, Field(ge=1, le=3650)]  # after which objects expire
Origins = Annotated[
    tuple[Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:\d{1,5})?$")], ...],
    BeforeValidator(
        lambda text: [part.strip() for part in text.split(",")] if isinstance(text, str) else text
    ),
]
Architecture = Literal["arm64", "x86_64"]
Size = Literal["small", "medium", "large"]

_WORKING_FILES_DAYS = 90
_MAX_LIMITS_CHARACTERS = 2500  # of the 4 KB that a function's environment has

# Memory also sets a function's share of CPU: 1,769 MB is one vCPU.
TRAINING_MEMORY_MB: dict[Size, int] = {"small": 3008, "medium": 6144, "large": 10240}


def _fit_image(address: str | None) -> str | None:
    """Refuse prebuilt scikit-learn images whose Python is too old for this code and its numpy."""
    name, _, tag = (address or "").rpartition(":")
    if not name.endswith("/sagemaker-scikit-learn"):
        return address  # an image of one's own, or none
    numbers = re.match(r"(\d+)\.(\d+)-", tag)
    if "py312" in tag or (numbers and tuple(map(int, numbers.groups())) >= _PYTHON_312_FROM):
        return address
    raise ValueError(
        f"the prebuilt image '{tag}' carries an older Python than 3.12, for which numpy has no "
        "wheel of the pinned version; take 1.4-2-py312, or 1.9-0 and later"
    )


PerSecond = Annotated[int, Field(ge=1, le=10_000)]
PerDay = Annotated[int, Field(ge=1)]


class Tier(BaseModel):
    """How much the keys of a tier may ask, all together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_second: PerSecond
    requests_per_day: PerDay


Tiers = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,19}$")], Tier],
    BeforeValidator(lambda given: json.loads(given) if isinstance(given, str) else given),
]


class Deployment(BaseModel):
    """One deployment of Noria in one account and region."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stage: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,11}$")] = "dev"
    size: Size = "small"
    architecture: Architecture = "arm64"
    alert_email: str | None = None  # subscribes this address to the alerts
    log_retention_days: RetentionDays = 30
    prediction_log_days: Days = 90
    label_days: Days = 400
    check_days: Days = 90  # of monitoring checks and their pages
    quarantine_days: Days = 90
    batch_result_days: Days = 365
    # For projects whose candidates train there.
    sagemaker_image: Annotated[str | None, AfterValidator(_fit_image)] = None
    # Model versions are put into groups of this name, a hyphen and the project.
    model_package_prefix: Annotated[
        str | None, Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,29}$")
    ] = None
    mlflow_tracking_uri: str | None = None  # training runs are logged there too
    clock_file: str | None = None  # of the embedded emulator: `noria simulate` sets the time there
    # Pages of these origins may call the API from a browser: "https://desk.example.org,…".
    cors_origins: Origins = ()
    # Of all keys of the tier "user" together, and of all of "admin"; API Gateway does its best.
    requests_per_second: PerSecond = 50
    requests_per_day: PerDay = 1_000_000
    # More tiers, and how much their keys may ask: {"partner": {"requests_per_second": 5, …}}.
    tiers: Tiers = {}
    # Of a key to each route that belongs to no project; those of projects are in their specs.
    shared_requests_per_minute: Annotated[int, Field(ge=1)] = 60
    # Tokens of this issuer (OpenID Connect, RS256; a Cognito user pool is one) are taken beside
    # keys: https, as their claim `iss` has it; for this audience; scopes from this claim.
    jwt_issuer: Annotated[str | None, Field(pattern=r"^https://[A-Za-z0-9./_-]+$")] = None
    jwt_audience: Annotated[str | None, Field(min_length=1)] = None
    jwt_scope_claim: Annotated[str, Field(min_length=1)] = "scope"
    # Whether AWS WAF stands before the API: about 7.60 dollars a month, and 0.60 a million requests.
    waf: bool = False
    # Whether X-Ray traces requests: it takes one a second and a twentieth of the others, and at
    # low traffic that is each of them, for more than the request itself costs.
    trace_requests: bool = False
    # Executions of predict that no batch or training can take; None: it shares the account's. A
    # new account has 10 in all, of which AWS lets none be reserved.
    predict_concurrency: Annotated[int | None, Field(ge=1, le=10_000)] = None
    # How new code of predict comes to serve; None: by canary in the stage "prod", else at once.
    predict_rollout: Literal["canary", "at_once"] | None = None

    @model_validator(mode="after")
    def _tokens_have_an_audience(self) -> "Deployment":
        if self.jwt_issuer and not self.jwt_audience:
            raise ValueError("jwt_issuer needs jwt_audience: tokens for others open nothing here")
        return self

    @property
    def has_canary(self) -> bool:
        """Whether new code of predict sees a tenth of the requests first."""
        return (self.predict_rollout or ("canary" if self.stage == "prod" else "")) == "canary"

    @property
    def all_tiers(self) -> dict[str, Tier]:
        """Every tier of keys by name; a key without one has that of its scope."""
        usual = Tier(
            requests_per_second=self.requests_per_second, requests_per_day=self.requests_per_day
        )
        return {"user": usual, "admin": usual, **self.tiers}

    @property
    def metric_namespace(self) -> str:
        """The namespace of its metrics: stages of one account keep apart."""
        return f"Noria/{self.stage}"

    def retention(self) -> dict[str, int | None]:
        """Return after how many days objects expire, by prefix of the data bucket; None: never.

        What a model version was trained on stays as long as it: its files, rows and report.
        """
        log, working = self.prediction_log_days, _WORKING_FILES_DAYS
        checks = {
            f"monitoring/{name}/{part}/": self.check_days
            for name in project_names()
            for part in ("checks", "days")
        }
        return checks | {
            "inbox/": None,
            "datasets/": None,
            "models/": None,
            "reports/": None,
            "monitoring/": None,  # what is kept between checks: a few objects a project
            "quarantine/": self.quarantine_days,
            "runs/": working,
            "predictions/": log,
            "predictions-failed/": log,
            "answers/": log,
            "profiles/": log,
            "labels/": self.label_days,
            "batch-inbox/": working,
            "labels-inbox/": working,
            "batch-scheduled/": working,
            "batches/": working,
            "analyses/": working,
            "erasures/": working,
            "audit/": None,
            "batch-results/": self.batch_result_days,
        }

    def stack_name(self, stack: str) -> str:
        """Return the name of one of the deployment's stacks."""
        return f"noria-{self.stage}-{stack}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every resource; activate them in the billing console to see costs by stage."""
        return {"noria:stage": self.stage}

    @property
    def training_memory_mb(self) -> int:
        """Memory of the functions that train and evaluate, in MB."""
        return TRAINING_MEMORY_MB[self.size]


def read_deployment(context: Mapping[str, Any]) -> Deployment:
    """Return the deployment a CDK context describes; ValueError names every fault."""
    own = {
        key.removeprefix(PREFIX): value for key, value in context.items() if key.startswith(PREFIX)
    }
    try:
        return Deployment.model_validate(own)
    except ValidationError as error:
        allowed = ", ".join(PREFIX + name for name in Deployment.model_fields)
        faults = "".join(
            f"\n  {PREFIX}{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()
        )
        raise ValueError(f"the CDK context is wrong; allowed keys: {allowed}{faults}") from error


class Schedules(NamedTuple):
    """How often a project is looked at: the spec's `[monitoring]`, with the spec's defaults."""

    enabled: bool = True
    every_hours: int = 1
    retrain_every_hours: int = 6


def schedules() -> dict[str, Schedules]:
    """Return the schedules of each project."""
    found = {}
    for name in project_names():
        section = _section(name, "monitoring")
        found[name] = Schedules(**{k: section[k] for k in Schedules._fields if k in section})
    return found


def batch_schedules() -> dict[str, str]:
    """Return when waiting files are scored, of the projects whose specs say so."""
    found = {name: _section(name, "batch").get("schedule") for name in project_names()}
    return {name: schedule for name, schedule in found.items() if schedule}


def request_limits(deployment: Deployment) -> dict[str, dict[str, int]]:
    """Return how many requests a minute a key may send: project, "" for none -> limit -> number.

    ValueError where functions could not hold them.
    """
    found = {name: _section(name, "limits") for name in project_names()}
    limits = {"": {"shared": deployment.shared_requests_per_minute}} | {
        name: section for name, section in found.items() if section
    }
    if len(json.dumps(limits)) > _MAX_LIMITS_CHARACTERS:
        raise ValueError(
            f"the [limits] of {len(limits) - 1} specs are more than a function's environment "
            "holds: leave them out of some, or deploy these projects as a stage of their own"
        )
    return limits


def trained_on_sagemaker() -> list[str]:
    """Return the projects whose specs train their candidates on SageMaker."""
    names = project_names()
    return [name for name in names if _section(name, "training").get("backend") == "sagemaker"]


def chat_is_wanted() -> bool:
    """Return whether a project's spec names a chat service."""
    return any(_section(name, "alerts").get("channels") for name in project_names())


def embedding_is_wanted() -> bool:
    """Return whether a project's spec has a feature of kind "embedding"."""
    specs = (_spec(name) for name in project_names())
    return any(part.get("kind") == "embedding" for spec in specs for part in spec["features"])


def _section(project: str, name: str) -> dict[str, Any]:
    """Return a table of a project's spec as it is written, without the spec's defaults."""
    section: dict[str, Any] = _spec(project).get(name, {})
    return section


def _spec(project: str) -> dict[str, Any]:
    path = SPECS / f"{project}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: not valid TOML: {error}; see: noria check") from error


def machine() -> Architecture:
    """Return the Lambda architecture of this machine."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
