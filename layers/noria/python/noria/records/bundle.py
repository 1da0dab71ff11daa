"""What a serving bundle says of itself: columns, model form, calibration, postprocessing.

Read by hand from JSON, as named tuples: a cold start of predict does it, without `dataclasses`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from noria.records.prediction import Row

Form = Literal["linear", "kernel", "trees"]
Link = Literal["softmax", "log_shares", "identity", "exp"]


class ColumnContract(NamedTuple):
    """What a request may send for one column."""

    type: str  # "text", "number", "category" or "time"
    required: bool
    min: float | None  # inclusive bounds of a number; None: any
    max: float | None
    max_length: int  # characters of a text or category
    pii: bool | Literal["drop"]  # masked in the prediction log, or not in it at all
    seen: tuple[float, float] | None = None  # smallest and largest number in training
    optional: bool = False  # gaps in it pass without a word
    missing: Literal["impute", "refuse"] = "impute"  # what a gap in a row to answer comes to


class TargetContract(NamedTuple):
    """How labels are read: what training did with the target's cells."""

    map: Mapping[str, str] = MappingProxyType({})  # label -> class; empty: labels are classes
    unlabelled: tuple[str, ...] = ()  # labels that mean "no label yet"
    min: float | None = None  # regression, inclusive
    max: float | None = None


class Calibration(NamedTuple):
    """softmax(slope x score + shift)."""

    slope: float = 1.0
    shift: tuple[float, ...] = ()  # one number per class


class Decision(NamedTuple):
    """How probabilities become a class."""

    weights: tuple[float, ...]  # each class's probability is weighted before deciding
    costs: tuple[tuple[float, ...], ...] = ()  # of (true, said): the cheapest is said instead
    share: float | None = None  # of a batch: so many rows, the best, are of the last class
    # Class shares in training. Batches with other shares are corrected for them; empty: they are
    # not.
    known_shares: tuple[float, ...] = ()

    def plain(self) -> "Decision":
        """Return the decision for the most probable class, of the same probabilities."""
        return Decision((1.0,) * len(self.weights), known_shares=self.known_shares)

    def to_dict(self) -> dict[str, object]:
        """Return the decision's parts of a bundle's description."""
        return {
            "decision_weights": list(self.weights),
            "decision_costs": [list(row) for row in self.costs],
            "decision_share": self.share,
            "decision_known_shares": list(self.known_shares),
        }


class Model(NamedTuple):
    """The form of a model: which scorer reads its arrays, and which link ends it."""

    form: Form
    link: Link
    n_outputs: int
    calibration: Calibration = Calibration()
    floor: float = 0.0  # log_shares: smallest share of a class
    kernel: str = ""  # kernel: "linear" or "rbf"
    gamma: float = 0.0  # kernel: of "rbf"
    n_features: int = 0  # kernel
    per_class: tuple[int, ...] = ()  # kernel: support vectors of each class, in order
    outputs_per_leaf: int = 1  # trees: 1 or n_outputs
    rounds: bool = False  # trees: values are rounded to float32 first

    def to_dict(self) -> dict[str, Any]:
        """Return the model as the bundle holds it: the fields of its form and link."""
        fields = ["form", "link", "n_outputs", *_FIELDS[self.form]]
        fields += ["floor"] if self.link == "log_shares" else []
        held: dict[str, Any] = {name: getattr(self, name) for name in fields}
        calibration = {**self.calibration._asdict(), "shift": list(self.calibration.shift)}
        return held | {"calibration": calibration}


_FIELDS: Mapping[str, Sequence[str]] = {
    "linear": (),
    "kernel": ("kernel", "gamma", "n_features", "per_class"),
    "trees": ("outputs_per_leaf", "rounds"),
}


def model_from_dict(data: Mapping[str, Any]) -> Model:
    """Return the model that `Model.to_dict` wrote; LookupError or TypeError for anything else."""
    settings = {**data, "per_class": tuple(data.get("per_class", ()))}
    if calibration := data.get("calibration"):
        settings["calibration"] = Calibration(calibration["slope"], tuple(calibration["shift"]))
    return Model(**settings)


class Postprocessing(NamedTuple):
    """What is added to each answer."""

    kind: str  # key of `noria.inference.postprocess.POSTPROCESSORS`
    positive: int  # number of the class whose probability counts
    contact: str | None  # column with the probability of reaching the customer
    amount: str  # column with the amount
    bands: tuple[str, ...]  # names, the least valuable first
    edges: tuple[float, ...]  # where bands end, ascending; empty without training values


class Bundle(NamedTuple):
    """The description of a serving bundle."""

    project: str
    task: str
    classes: tuple[str, ...]  # in the order of the outputs; empty for regression
    columns: Mapping[str, ColumnContract]
    missing: tuple[str, ...]  # cells that mean "missing"
    algorithm: str
    feature_view: Mapping[str, Any]  # of `noria.features.view.FeatureView`
    model: Model
    precision: str  # "float64" or "float32"
    decision: Decision
    postprocess: Postprocessing | None
    reference: Row  # the typical row that explanations start from
    watched: Mapping[str, Sequence[str]]  # words of each text column that monitoring counts
    target: TargetContract = TargetContract()
    private: tuple[str, ...] = ()  # of "record_id" and "true_label": not kept as they are sent
    max_gaps: int | None = None  # in the columns of a row that are not optional; None: any

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON data."""
        columns = {name: _column_data(column) for name, column in self.columns.items()}
        postprocess = None
        if self.postprocess is not None:
            post = self.postprocess
            lists = {"bands": list(post.bands), "edges": list(post.edges)}
            postprocess = {**post._asdict(), **lists}
        fields = self._asdict()
        del fields["decision"]
        return {
            **fields,
            "classes": list(self.classes),
            "columns": columns,
            "missing": list(self.missing),
            "private": list(self.private),
            "model": self.model.to_dict(),
            **self.decision.to_dict(),
            "postprocess": postprocess,
            "target": {
                **self.target._asdict(),
                "map": dict(self.target.map),
                "unlabelled": list(self.target.unlabelled),
            },
        }


def bundle_from_dict(data: Mapping[str, Any]) -> Bundle:
    """Return the bundle that `Bundle.to_dict` wrote.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError
        A part is missing or of another shape.
    """
    post = data["postprocess"]
    target = data.get("target") or {}  # earlier bundles have none
    return Bundle(
        project=data["project"],
        task=data["task"],
        classes=tuple(data["classes"]),
        columns={name: _column(column) for name, column in data["columns"].items()},
        missing=tuple(data["missing"]),
        algorithm=data["algorithm"],
        feature_view=data["feature_view"],
        model=model_from_dict(data["model"]),
        precision=data["precision"],
        decision=Decision(
            tuple(data["decision_weights"]),
            tuple(map(tuple, data.get("decision_costs", ()))),
            data.get("decision_share"),
            tuple(data.get("decision_known_shares", ())),
        ),
        postprocess=post
        and Postprocessing(
            **{**post, "bands": tuple(post["bands"]), "edges": tuple(post["edges"])}
        ),
        reference=data["reference"],
        watched=data["watched"],
        private=tuple(map(str, data.get("private", ()))),
        max_gaps=None if data.get("max_gaps") is None else int(data["max_gaps"]),
        target=TargetContract(**{**target, "unlabelled": tuple(target.get("unlabelled", ()))}),
    )


def _column(data: Mapping[str, Any]) -> ColumnContract:
    seen = data["seen"]
    return ColumnContract(**{**data, "seen": seen and (seen[0], seen[1])})


def _column_data(column: ColumnContract) -> dict[str, Any]:
    return {**column._asdict(), "seen": column.seen and list(column.seen)}
