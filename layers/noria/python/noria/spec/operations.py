"""The spec's tables about a model in production: monitoring, retraining, rollout, alerts."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from noria.spec.catalog import DRIFT_RULES, DRIFT_STATISTICS, TRIGGERS
from noria.spec.section import Fraction, Section

# Least effects that matter: a KS or Jensen-Shannon distance of 0.08, a word in 4 more texts of
# 100, 2 more missing values of 100. A shift of 0.3 deviations has a KS distance of 0.12.
_EFFECTS = {"ks": 0.08, "chi_square": 0.08, "term_shares": 0.04, "missing_share": 0.02}

_CRON = r"[-\d*,/]+ [-\d*,/]+ [-\d*?,/LW]+ [-\w*,/]+ [-\w*?,/#]+ [-\d*,/]+"
_RATE = r"1 (minute|hour|day)|([2-9]|[1-9]\d{1,3}) (minutes|hours|days)"
_SCHEDULE = rf"^(rate\(({_RATE})\)|cron\({_CRON}\))$"
_CONFIDENCE_STEP = 0.005  # of the bins in `noria.monitoring.reference`


class GateSection(Section):
    """An absolute bound on a metric, inclusive: of a challenger on the test rows, or in life."""

    metric: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> "GateSection":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min, max or both")
        return self


# A minute's counter is one item, which DynamoDB writes a thousand times a second.
_Requests = Annotated[int, Field(ge=1, le=30_000)]
_Rows = Annotated[int, Field(ge=1, le=1_000_000)]


class LimitsSection(Section):
    """How many requests a minute one key may send to one route; without a number, as many as it likes.

    Each minute is counted exactly. Keys made with `--unlimited` are not counted.
    """

    predict: _Requests | None = None  # to each route of the scope "user" but those of batches
    batch: _Requests | None = None  # to predict/batch, and to batch-jobs
    rows: _Rows | None = None  # rows to predict/batch: counted in place of its requests
    admin: _Requests | None = None  # to each route of the scope "admin" but these two:
    promote: _Requests | None = None  # to promotions, and to rollback


class ThresholdsSection(Section):
    """Where the rules that `monitoring.rules` names break: table `[monitoring.thresholds]`.

    A key begins with its rule's name, and has no effect where that rule is not named. Shares are
    of the answers in a window. Confidence is counted in steps of 0.005.
    """

    class_share_least: Fraction = 0.10  # of a predicted class: surely below it
    class_share_most: Fraction = 0.90  # surely above it
    low_confidence: Fraction = 0.5  # an answer below it is unsure
    low_confidence_share: Fraction = 0.30  # of unsure answers: surely above it
    mean_confidence: Fraction = 0.60  # of all answers: surely below it
    drifted_share: Fraction = 0.15  # of the columns
    drifted_share_breaks: Literal["above", "from"] = "above"  # "from": that very share breaks too
    mean_shift: float = Field(default=0.2, gt=0.0)  # of a mean, in deviations of training
    text_score: Fraction = 0.5  # of the parts below, added up: above it
    text_score_lengths: Fraction = 0.3  # for text lengths that have moved
    text_score_classes: Fraction = 0.4  # for predicted classes that have moved
    text_score_words: Fraction = 0.3  # for more rare words
    text_score_growth: float = Field(default=1.2, gt=1.0)  # of the mean share of rare words

    @field_validator("low_confidence")
    @classmethod
    def _is_counted(cls, value: float) -> float:
        if abs(value / _CONFIDENCE_STEP - round(value / _CONFIDENCE_STEP)) > 1e-6:
            raise ValueError("must be a multiple of 0.005: confidence is counted in such steps")
        return value


class MonitoringSection(Section):
    """What is looked at, how often, and how sure a finding must be."""

    enabled: bool = True
    every_hours: int = Field(default=1, ge=1, le=24)  # check and tell
    retrain_every_hours: int = Field(default=6, ge=1, le=168)  # check, tell and retrain
    short_window_hours: int = Field(default=1, ge=1, le=24)
    window_hours: int = Field(default=24, ge=1, le=720)
    min_rows: int = Field(default=100, ge=20)  # fewer are "insufficient data"
    alpha: Fraction = 0.005  # rate of false discoveries among the tests of a window
    # Of new rows, that confirm a borderline finding; overwhelming evidence confirms at once.
    windows_in_a_row: int = Field(default=2, ge=1, le=10)
    suspicion_hours: float = Field(default=24.0, gt=0.0, le=720.0)  # older ones are told
    effects: dict[str, float] = Field(default_factory=lambda: dict(_EFFECTS))  # decide; others tell
    ignore: tuple[str, ...] = ()  # columns that may move
    rules: tuple[str, ...] = ("class_share", "low_confidence")  # by name, beside the statistics
    thresholds: ThresholdsSection = ThresholdsSection()
    min_labels: int = Field(default=50, ge=20)
    label_hours: int = Field(default=48, ge=1, le=720)  # labels that came in this time count
    record_id_days: int = Field(default=7, ge=1, le=90)  # how far back a record id is looked for
    # What is personal of a request besides its inputs: a record id is logged as its hash, which
    # still joins labels; a true label with a request is refused, as feedback it is not logged.
    pii: tuple[Literal["record_id", "true_label"], ...] = ()
    max_drop: float = Field(default=0.05, gt=0.0)  # of a watched metric; of an error, a share
    # Metrics that are judged on labels. Default: the primary one, the one that decisions are
    # judged by, and the calibration error; of a regression rmse and mae.
    watch: tuple[str, ...] = ()
    # Absolute bounds on metrics of labels: a champion that kept one on its test rows, and surely
    # keeps it no longer, is degraded, however little it has dropped.
    bounds: tuple[GateSection, ...] = ()
    # Of the values of a column that lie outside training: above it, estimates are not trusted.
    max_outside_fraction: Fraction = 0.1

    @field_validator("effects")
    @classmethod
    def _statistics_exist(cls, value: dict[str, float]) -> dict[str, float]:
        _require_known(value, DRIFT_STATISTICS, "statistic")
        return value

    @field_validator("rules")
    @classmethod
    def _rules_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _require_known(value, DRIFT_RULES, "rule")
        return value

    @model_validator(mode="after")
    def _windows_nest(self) -> "MonitoringSection":
        if self.short_window_hours > self.window_hours:
            raise ValueError("short_window_hours must not exceed window_hours")
        return self


class RetrainingSection(Section):
    """When a model is trained again; promotion still needs its evidence."""

    # "growth": as many new rows as the champion was trained on; more rows still help small sets.
    on: tuple[str, ...] = ("data_drift", "prediction_drift", "performance", "calibration")
    # "auto": where only the calibration is degraded, the champion's probabilities are learned anew
    # on recent rows, which is cheap, if the split is by time; else a search. "search": always every
    # candidate anew. "refit": the champion's algorithm and parameters on the new rows, no search.
    how: Literal["auto", "search", "refit"] = "auto"
    # After a change, rows from before it teach a world that is gone.
    # Of files; a split by time finds the change among the rows (training.history).
    rows: Literal["all", "since_change"] = "all"
    # The oldest row of a file when it comes: the wait for labels, and the time between files.
    row_age_hours: float = Field(default=48.0, gt=0.0, le=8760.0)
    max_age_days: float = Field(default=7.0, gt=0.0)  # for "age"
    min_new_rows: int = Field(default=1000, ge=1)  # in the inbox, for "new_rows"
    cool_down_hours: int = Field(default=24, ge=1, le=720)
    max_per_day: int = Field(default=2, ge=1, le=24)

    @field_validator("on")
    @classmethod
    def _triggers_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _require_known(value, TRIGGERS, "trigger")
        return value


class BatchSection(Section):
    """How whole files are scored."""

    # Columns of the file that come back with each answer; what a file lacks is left out.
    id_columns: tuple[str, ...] = ()
    # Whether the file's columns come back too, as they were; of JSON lines the model's columns.
    include_inputs: bool = False
    rows_per_part: int = Field(default=20_000, ge=100, le=200_000)
    max_concurrency: int = Field(default=50, ge=1, le=1000)  # parts at once, beside predict
    max_rows: int = Field(default=10_000_000, ge=1, le=100_000_000)
    max_bytes: int = Field(default=5_000_000_000, ge=1_000)  # uncompressed
    max_refused_fraction: float = Field(default=0.05, ge=0.0, le=1.0)  # above: a warning
    on_refused: Literal["write", "hold"] = "write"  # above it: the answered rows, or no results
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    results: Literal["dated", "overwritten"] = "dated"  # one result a file, or the newest only
    priorities: dict[str, str] = Field(default_factory=dict)  # by band of business value
    # Whether the rows of files are evidence for monitoring, as those of requests are.
    monitored: bool = True
    # Where a file's rows have drifted: "score" publishes the results with a warning, "hold" keeps
    # them back until `noria release`.
    on_drift: Literal["score", "hold"] = "score"
    windows_in_a_row: int = Field(default=1, ge=1, le=10)  # files: each is one window, of many rows
    # When files under batch-scheduled/PROJECT/ are scored, as EventBridge writes it: "rate(1 day)",
    # "cron(0 3 * * ? *)" (UTC). Files under batch-inbox/ are scored when they come.
    schedule: str | None = Field(default=None, pattern=_SCHEDULE)


class RolloutStep(Section):
    """One step on the way to champion: what the challenger gets, and for how long."""

    mode: Literal["shadow", "canary"]
    fraction: Annotated[float, Field(gt=0.0, le=1.0)]  # of the requests
    bake_minutes: float = Field(gt=0.0, le=10_080.0)

    @model_validator(mode="after")
    def _leaves_something_to_compare(self) -> "RolloutStep":
        if self.mode == "canary" and self.fraction >= 1.0:
            raise ValueError("a canary of all requests leaves none of the champion to compare with")
        return self


class RolloutSection(Section):
    """How a challenger that won becomes champion; without steps, at once."""

    steps: tuple[RolloutStep, ...] = ()
    min_rows: int = Field(default=50, ge=10)  # of the challenger, before a step is judged
    max_waits: int = Field(default=6, ge=0, le=100)  # more bake times while rows are too few
    # Of a step in which nobody asked anything: "wait", and revert in the end; or "pass", for a
    # project that lives on files, whose gate alone decides then.
    without_requests: Literal["wait", "pass"] = "wait"
    max_error_fraction: Fraction = 0.01
    max_latency_ratio: float = Field(default=3.0, gt=1.0)  # p95 of the challenger / the champion
    max_latency_ms: float = Field(default=100.0, gt=0.0)  # below it no ratio matters
    approval: Literal["none", "required"] = "none"
    approval_hours: float = Field(default=24.0, gt=0.0, le=720.0)
    # After a promotion by evidence the champion before answers beside the new one, shown to nobody.
    # Where labels say that the new one is surely worse, the one before serves again. 0: none.
    probation_hours: float = Field(default=0.0, ge=0.0, le=720.0)
    probation_risk: Fraction = 0.01  # of taking back a champion that is no worse, in one probation


class AlertsSection(Section):
    """Who is told, and how much; a channel's secret lies in Secrets Manager."""

    channels: tuple[Literal["slack", "discord", "telegram", "webhook"], ...] = ()
    min_level: Literal["info", "success", "warning", "error", "critical"] = "info"
    max_per_hour: int = Field(
        default=20, ge=1, le=1000
    )  # critical ones pass, and say how many were held back
    # Of the requests in a check's long window, at least monitoring.min_rows of them: what is above
    # is told, once a day while it lasts.
    max_failed_fraction: Fraction = 0.05  # that the model could not answer
    max_latency_ms: float = Field(default=100.0, gt=0.0)  # the 95th percentile, inside predict


def _require_known(names: object, known: frozenset[str], what: str) -> None:
    unknown = sorted(set(names) - known)  # type: ignore[call-overload]
    if unknown:
        raise ValueError(f"unknown {what} {unknown}; allowed: {sorted(known)}")
