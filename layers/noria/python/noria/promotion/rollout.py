"""Whether a challenger on its way may go on: failures, speed, classes, quality."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from scipy.stats import fisher_exact

from noria.evaluation.shares import exact_interval
from noria.monitoring.performance import drop
from noria.monitoring.profiles import LevelProfile
from noria.monitoring.sources import PREDICTION
from noria.monitoring.window import WindowProfile
from noria.records.performance import Performance
from noria.spec.operations import RolloutSection

_INTERVAL, _CHANCE = 0.95, 0.005
_ONE_CLASS = 0.9  # share above which a model answers one class, if the champion does not
_LEAST_FAILURES = 3  # fewer may be anything

RolloutVerdict = Literal["pass", "wait", "breach"]


@dataclass(frozen=True)
class Breach:
    """What a challenger did that takes it back."""

    code: Literal["errors", "latency", "one_class", "quality"]
    text: str


def judge(
    rollout: RolloutSection,
    champion: WindowProfile,
    challenger: WindowProfile,
    measured: tuple[Performance, Performance] | None,
) -> tuple[RolloutVerdict, list[Breach]]:
    """Return whether the step is passed, must wait for requests, or is breached.

    Parameters
    ----------
    champion, challenger : WindowProfile
        Of the same hours.
    measured : (champion's, challenger's) performance on labels, or None while they are few

    Notes
    -----
    Failures count at once, whatever the number of requests: the rest needs `rollout.min_rows` of
    the challenger, and some of the champion to compare them with. Where neither was asked anything
    there is nothing to compare, and nobody whom a bad answer would reach: `without_requests`.
    """
    found = [*_failures(rollout, challenger)]
    if challenger.n_rows >= rollout.min_rows:
        found += [*_latency(rollout, champion, challenger)]
        found += [*_one_class(champion, challenger)]
        found += [*_quality(measured)]
    if found:
        return "breach", found
    asked = (window.n_rows + window.n_failed for window in (champion, challenger))
    if rollout.without_requests == "pass" and not any(asked):
        return "pass", []
    is_compared = challenger.n_rows >= rollout.min_rows and champion.n_rows > 0
    return ("pass" if is_compared else "wait"), []


def _failures(rollout: RolloutSection, challenger: WindowProfile) -> Iterator[Breach]:
    n = challenger.n_rows + challenger.n_failed
    if challenger.n_failed < _LEAST_FAILURES:
        return
    interval = exact_interval(challenger.n_failed, n, _INTERVAL)
    if interval.low > rollout.max_error_fraction:
        share = f"{challenger.n_failed / n:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
        yield Breach("errors", f"it could not answer {share} of {n} requests")


def _latency(
    rollout: RolloutSection, champion: WindowProfile, challenger: WindowProfile
) -> Iterator[Breach]:
    slow, usual = challenger.latency.quantile(0.95), champion.latency.quantile(0.95)
    if slow is None or usual is None or slow <= rollout.max_latency_ms:
        return
    if slow > rollout.max_latency_ratio * usual:
        yield Breach("latency", f"its 95th percentile is {slow:.1f} ms, the champion's {usual:.1f}")


def _one_class(champion: WindowProfile, challenger: WindowProfile) -> Iterator[Breach]:
    before, now = champion.columns[PREDICTION], challenger.columns[PREDICTION]
    if not isinstance(now, LevelProfile) or not before.n:
        return
    usual = dict(zip(cast(LevelProfile, before).levels, before.counts.tolist(), strict=False))
    for name, count in zip(now.levels, now.counts.tolist(), strict=False):
        n_usual = int(usual.get(name, 0))
        if count <= _ONE_CLASS * now.n or n_usual > _ONE_CLASS * before.n:
            continue
        if _is_one_class((int(count), now.n), (n_usual, before.n)):
            yield Breach(
                "one_class",
                f"it answers '{name}' to {count / now.n:.1%} of {now.n} requests, the champion to "
                f"{n_usual / before.n:.1%}",
            )


def _is_one_class(now: tuple[int, int], before: tuple[int, int]) -> bool:
    """Return whether (answers of a class, answers) are surely nearly all of them.

    Of few requests no share is surely above the bound: there it is enough that all are of the
    class, and that so many more than the champion's are no chance (Fisher's exact test).
    """
    if exact_interval(*now, _INTERVAL).low > _ONE_CLASS:
        return True
    table = [[n_of_class, n - n_of_class] for n_of_class, n in (now, before)]
    is_all = now[0] == now[1]
    return is_all and float(fisher_exact(table, alternative="greater").pvalue) < _CHANCE


def _quality(measured: tuple[Performance, Performance] | None) -> Iterator[Breach]:
    if measured is None:
        return
    champion, challenger = measured
    # Of an error less is better: drops carry the direction.
    if drop(challenger)[1] > drop(champion)[0] and not _overlap(champion, challenger):
        yield Breach(
            "quality",
            f"{challenger.metric} {challenger.value:.4f} [{challenger.low:.4f}, "
            f"{challenger.high:.4f}] on {challenger.n_rows} labels, the champion "
            f"{champion.value:.4f} [{champion.low:.4f}, {champion.high:.4f}]",
        )


def _overlap(left: Performance, right: Performance) -> bool:
    return left.low <= right.high and right.low <= left.high
