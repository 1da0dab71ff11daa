"""The statistics a spec may name, with the kinds of columns each reads."""

from collections.abc import Callable
from typing import Any, NamedTuple

from noria.monitoring.drift.chi_square import chi_square
from noria.monitoring.drift.finding import Finding
from noria.monitoring.drift.jensen_shannon import jensen_shannon
from noria.monitoring.drift.ks import kolmogorov_smirnov
from noria.monitoring.drift.mean_shift import mean_shift
from noria.monitoring.drift.missing_share import missing_share
from noria.monitoring.drift.psi import population_stability_index
from noria.monitoring.drift.term_shares import term_shares
from noria.monitoring.drift.wasserstein import wasserstein
from noria.monitoring.profiles import LevelProfile, NumberProfile, TermProfile


class Statistic(NamedTuple):
    """One statistic: what computes it, and on which profiles."""

    compute: Callable[[Any, Any], Finding]
    kinds: tuple[type[Any], ...]


STATISTICS: dict[str, Statistic] = {
    "ks": Statistic(kolmogorov_smirnov, (NumberProfile,)),
    "chi_square": Statistic(chi_square, (LevelProfile,)),
    "psi": Statistic(population_stability_index, (NumberProfile, LevelProfile)),
    "jensen_shannon": Statistic(jensen_shannon, (NumberProfile, LevelProfile)),
    "wasserstein": Statistic(wasserstein, (NumberProfile,)),
    "mean_shift": Statistic(mean_shift, (NumberProfile,)),
    "term_shares": Statistic(term_shares, (TermProfile,)),
    "missing_share": Statistic(missing_share, (NumberProfile, LevelProfile, TermProfile)),
}
