"""What each operation of the API takes and answers."""

from typing import Any, NamedTuple

from noria.api.openapi.answers import (
    Approved,
    AuditShown,
    BaselineShown,
    CheckStanding,
    CreatedJob,
    DriftMore,
    FeaturesShown,
    FiledLabels,
    Job,
    MetricsShown,
    Moved,
    OpenApi,
    PerformanceMore,
    Prediction,
    Predictions,
    Promotions,
    ServedModel,
    ServiceHealth,
    StartedCheck,
    StartedTraining,
    TrainingStanding,
)
from noria.api.openapi.requests import (
    ApprovalAnswer,
    BaselineHours,
    LabelOfPrediction,
    LabelOfRecord,
    Labels,
    NewChampion,
    NewCheck,
    NewJob,
    NewTraining,
    Rollback,
    Row,
    Rows,
)
from noria.records.drift import DriftReport
from noria.records.performance import PerformanceReport


class Derived(NamedTuple):
    """The shape of a record that is shown without some fields and with more."""

    name: str
    record: type
    without: tuple[str, ...]
    more: type  # a TypedDict; its fields replace those of the record


class Shapes(NamedTuple):
    """What an operation takes and answers."""

    answer: Any  # a type or `Derived`
    request: Any = None  # None: it reads no body
    needs_body: bool = True  # whether a request without a body is refused


SHAPES = {
    "audit": Shapes(AuditShown),
    "health": Shapes(ServiceHealth),
    "document": Shapes(OpenApi),
    "predict": Shapes(Prediction, Row),
    "predict_batch": Shapes(Predictions, Rows),
    "model": Shapes(ServedModel),
    "feedback": Shapes(FiledLabels, LabelOfPrediction | LabelOfRecord | Labels),
    "drift": Shapes(Derived("Drift", DriftReport, ("columns",), DriftMore)),
    "metrics": Shapes(MetricsShown),
    "features": Shapes(FeaturesShown),
    "performance": Shapes(
        Derived("PerformanceShown", PerformanceReport, ("last_answers",), PerformanceMore)
    ),
    "baseline": Shapes(BaselineShown, BaselineHours, needs_body=False),
    "create_job": Shapes(CreatedJob, NewJob),
    "job": Shapes(Job),
    "cancel_job": Shapes(Job),
    "start_check": Shapes(StartedCheck, NewCheck, needs_body=False),
    "check": Shapes(CheckStanding),
    "start_training": Shapes(StartedTraining, NewTraining, needs_body=False),
    "training": Shapes(TrainingStanding),
    "promote": Shapes(Moved, NewChampion),
    "roll_back": Shapes(Moved, Rollback),
    "answer_approval": Shapes(Approved, ApprovalAnswer),
    "history": Shapes(Promotions),
}
