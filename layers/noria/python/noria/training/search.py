"""Look for a candidate's parameters: Optuna proposes, cross-validation judges, laggards stop early.

Each trial's proposal depends only on the seed, its number and the trials before it, so a search
that was cut off and continued ends as one that was not.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Any, Literal

import optuna

from noria.errors import TrainingFailedError
from noria.records.training import Params, Trial
from noria.spec.model import CandidateSection, SearchRange, SearchSection

optuna.logging.set_verbosity(optuna.logging.ERROR)

_WARM_UP = 8  # random trials before the sampler models anything, and before any is given up
_KEPT_SHARE = 30.0  # per cent of trials that may go on after a fold
Report = Callable[[int, float], bool]  # (fold, mean so far) -> give up?
Evaluate = Callable[[Params, Report], Sequence[float]]  # scores of the folds it has run


@dataclass(frozen=True)
class SearchEnd:
    """All trials, the best one, and what ended the search."""

    trials: tuple[Trial, ...]
    best: Trial
    stopped_by: Literal["trials", "time"]


class ParameterSearch:
    """The search of one candidate.

    Parameters
    ----------
    candidate : CandidateSection
    settings : SearchSection
    greater_is_better : bool
        Of the metric that `evaluate` returns.
    seconds : callable
        Seconds from any fixed point, for the time budget.
    """

    def __init__(
        self,
        candidate: CandidateSection,
        settings: SearchSection,
        *,
        greater_is_better: bool,
        seconds: Callable[[], float],
    ) -> None:
        self._candidate, self._settings, self._seconds = candidate, settings, seconds
        self._greater_is_better = greater_is_better
        space = {} if settings.kind == "none" else candidate.space
        self._space = {name: _distribution(values) for name, values in sorted(space.items())}
        # A grid is walked in the order of the names, the last one fastest.
        self._grid = list[tuple[Any, ...]]()
        if settings.kind == "grid" and space:
            listed = [space[name] for name in self._space]
            self._grid = [*product(*(v for v in listed if not isinstance(v, SearchRange)))]

    def run(
        self,
        evaluate: Evaluate,
        *,
        earlier: Sequence[Trial] = (),
        keep: Callable[[Sequence[Trial]], None] = lambda _: None,
    ) -> SearchEnd:
        """Return the search's trials and the best complete one.

        Parameters
        ----------
        evaluate : callable
            Scores one parameter set fold by fold; stops when `report` says so.
        earlier : sequence of Trial
            Of the same search, when it was cut off.
        keep : callable
            Takes all trials after each new one, to continue from.

        Raises
        ------
        TrainingFailedError
            Every trial failed.
        """
        study = self._study(earlier)
        trials, started = list(earlier), self._seconds()
        wanted = 1 if not self._space else len(self._grid) or self._settings.trials
        stopped_by: Literal["trials", "time"] = "trials"
        while len(trials) < wanted:
            if trials and self._seconds() - started > self._settings.max_seconds:
                stopped_by = "time"
                break
            trials.append(self._one(study, len(trials), evaluate))
            keep(trials)
        complete = [trial for trial in trials if trial.state == "complete"]
        if not complete:
            raise TrainingFailedError(
                f"candidate '{self._candidate.name}' cannot be fitted: {trials[-1].reason}",
                candidate=self._candidate.name,
            )
        best = max(complete, key=lambda trial: trial.mean * (1 if self._greater_is_better else -1))
        return SearchEnd(tuple(trials), best, stopped_by)

    def _study(self, earlier: Sequence[Trial]) -> optuna.Study:
        pruner = (
            optuna.pruners.PercentilePruner(_KEPT_SHARE, n_startup_trials=_WARM_UP)
            if self._settings.prune
            else optuna.pruners.NopPruner()
        )
        study = optuna.create_study(
            direction="maximize" if self._greater_is_better else "minimize", pruner=pruner
        )
        for trial in earlier:
            self._restore(study, trial)
        return study

    def _restore(self, study: optuna.Study, trial: Trial) -> None:
        searched = {name: trial.params[name] for name in self._space}
        is_complete = trial.state == "complete"
        state = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}[trial.state]
        study.add_trial(
            optuna.trial.create_trial(
                params=searched,
                distributions=self._space,
                value=trial.mean if is_complete else None,
                intermediate_values={
                    fold: sum(trial.scores[: fold + 1]) / (fold + 1)
                    for fold in range(len(trial.scores))
                },
                state=optuna.trial.TrialState[state],
            )
        )

    def _one(self, study: optuna.Study, number: int, evaluate: Evaluate) -> Trial:
        study.sampler = self._sampler(number)
        if self._grid:
            study.enqueue_trial(dict(zip(self._space, self._grid[number], strict=True)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna marks parts of its interface experimental
            asked = study.ask(self._space)
        params = {**self._candidate.params, **asked.params}
        gave_up = False

        def report(fold: int, mean: float) -> bool:
            nonlocal gave_up
            asked.report(mean, fold)
            gave_up = asked.should_prune()
            return gave_up

        try:
            scores = tuple(evaluate(params, report))
        except TrainingFailedError as error:
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
            return Trial(params, "failed", (), error.message)
        if gave_up:
            study.tell(asked, state=optuna.trial.TrialState.PRUNED)
            return Trial(params, "pruned", scores)
        study.tell(asked, sum(scores) / len(scores))
        return Trial(params, "complete", scores)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        digest = sha256(f"{self._settings.seed}:{self._candidate.name}:{number}".encode())
        seed = int.from_bytes(digest.digest()[:4])
        if self._settings.kind == "tpe":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "multivariate" is experimental by name
                return optuna.samplers.TPESampler(
                    seed=seed, n_startup_trials=_WARM_UP, multivariate=True
                )
        return optuna.samplers.RandomSampler(seed=seed)


def _distribution(
    values: SearchRange | tuple[Any, ...],
) -> optuna.distributions.BaseDistribution:
    if not isinstance(values, SearchRange):
        return optuna.distributions.CategoricalDistribution(values)
    if values.integer:
        return optuna.distributions.IntDistribution(int(values.low), int(values.high))
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
