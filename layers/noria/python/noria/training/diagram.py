"""The fitted pipeline of a model as a diagram: columns, derived columns, features, model, answer."""

from collections import Counter
from collections.abc import Iterator

from noria.inference.predictor import Predictor
from noria.records.report import PipelinePart, PipelineStage
from noria.records.training import CandidateResult

_MOST_NAMED = 6  # columns of a box


def pipeline_of(predictor: Predictor, result: CandidateResult) -> tuple[PipelineStage, ...]:
    """Return the stages of a bundle in the order in which a row passes them."""
    data = predictor.view.data
    read = {name for block in data["blocks"] for name in (*block["columns"], block.get("by"))}
    derived = list[PipelinePart]()
    for name, part in reversed(data["derived"].items()):  # each comes after what it is computed of
        if name in read:
            sources = _sources(part["from"])
            read.update(sources)
            derived.insert(0, PipelinePart(name, f"{part['as']} of {_named(sources)}"))
    stages = (
        PipelineStage("columns", tuple(_columns(predictor))),
        PipelineStage("derived columns", tuple(derived)),
        PipelineStage("features", tuple(_features(predictor))),
        PipelineStage("model", (_model(predictor, result),)),
        PipelineStage("answer", tuple(_answer(predictor, result))),
    )
    return tuple(stage for stage in stages if stage.parts)


def _columns(predictor: Predictor) -> Iterator[PipelinePart]:
    types = Counter(column.type for column in predictor.columns.values())
    for kind in types:
        names = [name for name, column in predictor.columns.items() if column.type == kind]
        yield PipelinePart(kind, _named(names))


def _features(predictor: Predictor) -> Iterator[PipelinePart]:
    view = predictor.view
    for block, fitted in zip(view.blocks, view.data["blocks"], strict=True):
        text = f"{fitted['kind']} of {_named(fitted['columns'])}: {block.width:,} features"
        yield PipelinePart(fitted["name"], text)


def _model(predictor: Predictor, result: CandidateResult) -> PipelinePart:
    params = ", ".join(f"{name} = {value}" for name, value in result.params.items())
    return PipelinePart(result.candidate, f"{result.algorithm}{f': {params}' if params else ''}")


def _answer(predictor: Predictor, result: CandidateResult) -> Iterator[PipelinePart]:
    if not predictor.classes:
        yield PipelinePart("value", "in the unit of the target")
        return
    slope = result.calibration.slope
    calibrated = f"sigmoid of {slope:.3g} times the score" if slope != 1.0 else "as scored"
    yield PipelinePart("probabilities", f"{len(predictor.classes)} classes, {calibrated}")
    share = predictor.decision.share
    rule = f"the best {share:.0%} of a batch are positive" if share else "weighted by class"
    is_plain = len({*predictor.decision.weights}) <= 1 and not share
    yield PipelinePart("decision", "the most probable class" if is_plain else rule)
    if predictor.postprocessing is not None:
        yield PipelinePart("business value", "probability, contact and amount together")


def _sources(found: object) -> list[str]:
    return [found] if isinstance(found, str) else list(map(str, found))  # type: ignore[call-overload]


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
