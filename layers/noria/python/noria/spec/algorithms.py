"""The algorithms a spec may name, with the tasks they serve and the values their parameters take.

The implementations are in `noria.training.algorithms`; a test fits each with values from inside
its ranges and holds the ranges against scikit-learn's own. It is here without the libraries, so
that a spec is checked before anything is trained.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

CLASSIFICATION = frozenset({"classification"})
REGRESSION = frozenset({"regression"})
BOTH = CLASSIFICATION | REGRESSION


class Numbers(NamedTuple):
    """A range of numbers, inclusive but where `above` says that `low` itself is too small."""

    low: float
    high: float | None = None
    whole: bool = False
    above: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.whole and not isinstance(value, int):
            return False
        is_over = value > self.low if self.above else value >= self.low
        return is_over and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        what = "a whole number" if self.whole else "a number"
        least = f"above {self.low:g}" if self.above else f"of at least {self.low:g}"
        if self.high is None:
            return f"{what} {least}"
        return f"{what} {'above' if self.above else 'from'} {self.low:g} to {self.high:g}"


class Parameter(NamedTuple):
    """The values of one parameter: ranges of numbers, words, or both."""

    ranges: tuple[Numbers, ...] = ()
    words: tuple[str, ...] = ()

    def __contains__(self, value: object) -> bool:
        return value in self.words or any(value in numbers for numbers in self.ranges)

    def __str__(self) -> str:
        return " or ".join([*map(str, self.ranges), *(f"'{word}'" for word in self.words)])


class AlgorithmEntry(NamedTuple):
    """One algorithm: the tasks it serves, the parameters a spec may set."""

    tasks: frozenset[str]
    params: Mapping[str, Parameter]
    accepts_missing: bool = False


def _numbers(low: float, high: float | None = None, *, above: bool = False) -> Parameter:
    return Parameter((Numbers(low, high, above=above),))


def _whole(low: int, high: int | None = None) -> Parameter:
    return Parameter((Numbers(low, high, whole=True),))


_POSITIVE = _numbers(0, above=True)
_NOT_NEGATIVE = _numbers(0)
_SHARE = _numbers(0, 1, above=True)
_BALANCED = Parameter(words=("balanced",))
_PART_OF_ROWS = Numbers(0, 1, above=True)

_TREE: Mapping[str, Parameter] = {
    "max_depth": _whole(1),
    "min_samples_split": Parameter((Numbers(2, whole=True), _PART_OF_ROWS)),
    "min_samples_leaf": Parameter((Numbers(1, whole=True), Numbers(0, 0.5, above=True))),
    "max_features": Parameter((Numbers(1, whole=True), _PART_OF_ROWS), ("sqrt", "log2")),
    "class_weight": _BALANCED,
}
_FOREST = {
    **_TREE,
    "n_estimators": _whole(1),
    "class_weight": Parameter(words=("balanced", "balanced_subsample")),
}
_BOOSTING = {**_TREE, "n_estimators": _whole(1), "learning_rate": _POSITIVE, "subsample": _SHARE}
_XGBOOST = {
    "n_estimators": _whole(1),
    "max_depth": _whole(0),
    "learning_rate": _POSITIVE,
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "min_child_weight": _NOT_NEGATIVE,
    "gamma": _NOT_NEGATIVE,
    "reg_alpha": _NOT_NEGATIVE,
    "reg_lambda": _NOT_NEGATIVE,
    "max_bin": _whole(2),
    "class_weight": _BALANCED,
    "early_stopping_rounds": _whole(1),
}
_LIGHTGBM = {
    "n_estimators": _whole(1),
    "max_depth": _whole(-1),  # -1 and 0: no limit
    "learning_rate": _POSITIVE,
    "num_leaves": _whole(2, 131_072),
    "min_child_samples": _whole(0),
    "subsample": _SHARE,
    "colsample_bytree": _SHARE,
    "reg_alpha": _NOT_NEGATIVE,
    "reg_lambda": _NOT_NEGATIVE,
    "max_bin": _whole(2),
    "class_weight": _BALANCED,
    "early_stopping_rounds": _whole(1),
}
_TREE_BLEND = {
    f"{member}_{name}": parameter
    for member, params in (("boosting", _BOOSTING), ("extra_trees", _FOREST))
    for name, parameter in params.items()
    if name != "class_weight"
}

ALGORITHMS: Mapping[str, AlgorithmEntry] = {
    "logistic_regression": AlgorithmEntry(
        CLASSIFICATION,
        {
            "C": _POSITIVE,
            "l1_ratio": _numbers(0, 1),
            "solver": Parameter(words=("lbfgs", "newton-cg", "newton-cholesky", "sag", "saga")),
            "class_weight": _BALANCED,
            "max_iter": _whole(1),
        },
    ),
    "linear_svm": AlgorithmEntry(CLASSIFICATION, {"C": _POSITIVE, "class_weight": _BALANCED}),
    "svm": AlgorithmEntry(
        CLASSIFICATION,
        {
            "C": _POSITIVE,
            "kernel": Parameter(words=("linear", "rbf")),
            "gamma": Parameter((Numbers(0),), ("scale", "auto")),
            "class_weight": _BALANCED,
        },
    ),
    "linear_regression": AlgorithmEntry(REGRESSION, {}),
    "ridge": AlgorithmEntry(REGRESSION, {"alpha": _NOT_NEGATIVE, "max_iter": _whole(1)}),
    "decision_tree": AlgorithmEntry(BOTH, _TREE),
    "random_forest": AlgorithmEntry(BOTH, _FOREST),
    "extra_trees": AlgorithmEntry(BOTH, _FOREST),
    "gradient_boosting": AlgorithmEntry(BOTH, _BOOSTING),
    "tree_blend": AlgorithmEntry(REGRESSION, _TREE_BLEND),
    "xgboost": AlgorithmEntry(BOTH, _XGBOOST, accepts_missing=True),
    "lightgbm": AlgorithmEntry(BOTH, _LIGHTGBM, accepts_missing=True),
}


def parameter_faults(algorithm: str, task: str, values: Mapping[str, object]) -> Iterator[str]:
    """Yield why parameters of an algorithm cannot be what the spec says.

    Parameters
    ----------
    algorithm : key of `ALGORITHMS`
    task : "classification" or "regression"
    values : mapping
        A value by name of the parameter; a list names several values, each of which is checked.
    """
    offered = ALGORITHMS[algorithm].params
    for name, value in values.items():
        parameter = offered.get(name)
        if parameter is None:
            yield f"'{name}' is no parameter of it; allowed: {sorted(offered)}"
            continue
        if name == "class_weight" and task == "regression":
            yield "'class_weight' belongs to classification"
            continue
        for single in value if isinstance(value, list | tuple) else (value,):
            if single not in parameter:
                yield f"{name} = {single!r}: must be {parameter}"
