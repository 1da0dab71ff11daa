"""Profiles: what is kept of rows so that windows of any size can be merged and compared.

A profile of one column is small, whatever the rows: counts in bins that the reference fixed, and
the values themselves while they are few. Profiles of chunks merge into the profile of a window; as
sums are exact, the window's is the same however the rows were cut and in whatever order they came.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from math import ceil, frexp, ldexp, log2
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from noria.reporting.numbers import number_text

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

N_BINS = 256  # on quantiles of the reference: the KS verdict of the exact test in 119 of 120 cases
KEPT_IN_CHUNK, KEPT_IN_WINDOW, KEPT_IN_REFERENCE = 256, 2000, 5000  # values, beside the counts
_MAX_LEVELS = 50  # of a category; the others count as one
_GREATEST = 1e140  # distance from the origin that moments know: squares of more would overflow


@dataclass
class NumberProfile:
    """Numbers: counts in the reference's bins, moments, and all values while they are few."""

    edges: Floats  # ascending; bin i holds edges[i - 1] <= x < edges[i]
    counts: Counts  # shape (len(edges) + 1,)
    n_missing: int = 0
    total: Fraction = Fraction(0)  # sum of x - origin
    squares: Fraction = Fraction(0)  # sum of (x - origin)²
    values: Floats | None = field(default_factory=lambda: np.empty(0))  # ascending
    least: float | None = None  # None: no value, or a profile of before there was this field
    most: float | None = None

    @classmethod
    def of(
        cls, edges: Floats, values: Sequence[Any] | Floats, *, keep: int = KEPT_IN_CHUNK
    ) -> Self:
        """Return the profile of values; None and NaN count as missing."""
        if not isinstance(values, np.ndarray):
            known = np.array([v for v in values if v is not None], dtype=np.float64)
        else:
            known = values
        is_finite = np.isfinite(known)
        known = (known if is_finite.all() else known[is_finite]) + 0.0  # zero has no sign
        known.sort()
        centred = known - _origin(edges)
        if len(known) and max(-centred[0], centred[-1]) > _GREATEST:
            np.clip(centred, -_GREATEST, _GREATEST, out=centred)
        return cls(
            edges,
            _counts_between(edges, known),
            len(values) - len(known),
            exact_sum(centred),
            exact_sum(centred * centred),
            known if len(known) <= keep else None,
            *((float(known[0]), float(known[-1])) if len(known) else (None, None)),
        )

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Mean of the values; 0 without any."""
        return _origin(self.edges) + float(self.total / self.n) if self.n else 0.0

    @property
    def std(self) -> float:
        """Standard deviation of the values, with n - 1; 0 for fewer than two."""
        if self.n < 2:
            return 0.0
        spread = self.squares - self.total**2 / self.n
        return float(np.sqrt(max(float(spread / (self.n - 1)), 0.0)))

    def quantile(self, fraction: float) -> float | None:
        """Return a quantile: exact while the values are kept, else a bin's lower edge.

        Below the first edge, which is all that is known of it, that edge.
        """
        if not self.n:
            return None
        if self.values is not None:
            return float(np.quantile(self.values, fraction))
        return float(self.edges[max(self._bin_of(fraction) - 1, 0)])

    def shown_quantile(self, fraction: float) -> float | None:
        """Return a quantile where it is known: None for one that lies outside the bins' edges.

        The outer bins are open: of a value in them only that it lies beyond is known. The least
        and the greatest value are known.
        """
        if fraction in (0.0, 1.0) and self.n and self.least is not None:
            return self.least if fraction == 0.0 else self.most
        return None if self._is_beyond(fraction) else self.quantile(fraction)

    def quantile_text(self, fraction: float) -> str:
        """Return a quantile for people: a number, or beyond which edge it lies.

        Examples
        --------
        >>> edges = np.array([4.855, 4.96])
        >>> NumberProfile.of(edges, [1.3, 1.4, 1.5], keep=0).quantile_text(0.5)
        'below 4.855 (least 1.3)'
        """
        if not self._is_beyond(fraction):
            value = self.quantile(fraction)
            return "–" if value is None else number_text(value)
        is_below = self._bin_of(fraction) == 0
        place, name, end = (0, "least", self.least) if is_below else (-1, "most", self.most)
        edge = float(self.edges[place])
        known = "" if end is None else f" ({name} {number_text(end)})"
        return f"{'below' if is_below else 'at or above'} {number_text(edge)}{known}"

    def _bin_of(self, fraction: float) -> int:
        return int(np.searchsorted(np.cumsum(self.counts), max(fraction * self.n, 1e-9)))

    def _is_beyond(self, fraction: float) -> bool:
        if not self.n or self.values is not None:
            return False
        return self._bin_of(fraction) in (0, len(self.edges))

    def add(self, other: "NumberProfile", *, keep: int = KEPT_IN_WINDOW) -> None:
        """Take another profile of the same edges in."""
        self.counts = self.counts + other.counts
        self.n_missing += other.n_missing
        self.total += other.total
        self.squares += other.squares
        self.least = _extreme(min, self.least, other.least)
        self.most = _extreme(max, self.most, other.most)
        if self.values is None or other.values is None or self.n > keep:
            self.values = None
        else:
            self.values = np.sort(np.concatenate([self.values, other.values]))

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON data, without its edges."""
        if self.values is not None:
            return {"n_missing": self.n_missing, "values": self.values.tolist()}
        sums = {"total": str(self.total), "squares": str(self.squares)}
        ends = {"least": self.least, "most": self.most}
        return {"n_missing": self.n_missing, **sums, **ends, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, edges: Floats, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        if "values" in data:
            made = cls.of(edges, data["values"], keep=len(data["values"]))
            made.n_missing = data["n_missing"]
            return made
        counts = np.array(data["counts"], dtype=np.int64)
        sums = Fraction(data["total"]), Fraction(data["squares"])
        ends = data.get("least"), data.get("most")
        return cls(edges, counts, data["n_missing"], *sums, None, *ends)


@dataclass
class LevelProfile:
    """Categories: counts of the reference's levels, and of all others together."""

    levels: tuple[str, ...]
    counts: Counts  # shape (len(levels) + 1,): the last is for levels the reference lacks
    n_missing: int = 0

    @classmethod
    def of(cls, levels: tuple[str, ...], values: Iterable[Any] | Mapping[str | None, int]) -> Self:
        """Return the profile of values, or of how often each occurs; None counts as missing."""
        if isinstance(values, Mapping):
            counted = values
        else:
            counted = Counter(None if v is None else str(v) for v in values)
        place = {level: i for i, level in enumerate(levels)}
        counts = np.zeros(len(levels) + 1, dtype=np.int64)
        for value, n in counted.items():
            if value is not None:
                counts[place.get(value, len(levels))] += n
        return cls(levels, counts, counted.get(None, 0))

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def add(self, other: "LevelProfile") -> None:
        """Take another profile of the same levels in."""
        self.counts = self.counts + other.counts
        self.n_missing += other.n_missing

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON data, without its levels."""
        return {"n_missing": self.n_missing, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, levels: tuple[str, ...], data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        return cls(levels, np.array(data["counts"], dtype=np.int64), data["n_missing"])


class TermCounts(NamedTuple):
    """In how many texts each watched word occurs."""

    counts: Counts  # by place
    n: int  # texts
    n_missing: int


@dataclass
class TermProfile:
    """Texts: in how many of them each watched word occurs."""

    terms: tuple[str, ...]
    counts: Counts  # shape (len(terms),)
    n: int = 0  # texts
    n_missing: int = 0

    @classmethod
    def of(cls, terms: tuple[str, ...], values: Sequence[Any] | TermCounts) -> Self:
        """Return the profile of lists of places, or of how often each place occurs.

        A list has a place once; None counts as missing.
        """
        if isinstance(values, TermCounts):
            return cls(terms, *values)
        known: list[Any] = [value for value in values if value is not None]
        places = np.fromiter(chain.from_iterable(known), dtype=np.int64)
        counts = np.bincount(places, minlength=len(terms)).astype(np.int64)
        return cls(terms, counts, len(known), len(values) - len(known))

    def add(self, other: "TermProfile") -> None:
        """Take another profile of the same words in."""
        self.counts = self.counts + other.counts
        self.n += other.n
        self.n_missing += other.n_missing

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as JSON data, without its words."""
        return {"n": self.n, "n_missing": self.n_missing, "counts": self.counts.tolist()}

    @classmethod
    def from_dict(cls, terms: tuple[str, ...], data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        counts = np.array(data["counts"], dtype=np.int64)
        return cls(terms, counts, data["n"], data["n_missing"])


ColumnProfile = NumberProfile | LevelProfile | TermProfile
_KINDS: dict[str, tuple[type[Any], str]] = {
    "number": (NumberProfile, "edges"),
    "levels": (LevelProfile, "levels"),
    "terms": (TermProfile, "terms"),
}


class FrameColumn(NamedTuple):
    """How one column is profiled."""

    kind: Literal["number", "levels", "terms"]
    base: Sequence[float] | Sequence[str] | Floats  # bin edges, levels or words


class Frame:
    """What profiles of one model version share: columns, their kinds, bins, levels and words.

    Parameters
    ----------
    columns : mapping of name to FrameColumn
    """

    def __init__(self, columns: Mapping[str, FrameColumn]) -> None:
        self._columns: dict[str, tuple[str, Any]] = {
            name: (kind, np.asarray(base, dtype=np.float64) if kind == "number" else tuple(base))
            for name, (kind, base) in columns.items()
        }

    def profile(
        self, values: Mapping[str, Any], *, keep: int = KEPT_IN_CHUNK
    ) -> dict[str, ColumnProfile]:
        """Return a profile a column of the columns' values; of numbers, `keep` stay at most."""
        made = {}
        for name, (kind, base) in self._columns.items():
            kept = {"keep": keep} if kind == "number" else {}
            made[name] = _KINDS[kind][0].of(base, values.get(name, ()), **kept)
        return made

    def read(self, data: Mapping[str, Any]) -> dict[str, ColumnProfile]:
        """Return the profiles that `to_dict` wrote; a column the data lack is empty."""
        return {
            name: _KINDS[kind][0].from_dict(base, data[name])
            if name in data
            else _KINDS[kind][0].of(base, ())
            for name, (kind, base) in self._columns.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the frame as JSON data."""
        return {
            name: {"kind": kind, "base": np.asarray(base).tolist()}
            for name, (kind, base) in self._columns.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote."""
        return cls(
            {name: FrameColumn(column["kind"], column["base"]) for name, column in data.items()}
        )


def exact_sum(values: Floats) -> Fraction:
    """Return the sum of finite numbers without any rounding.

    Parameters
    ----------
    values : array of shape (n,)
        Each below 1e290, so that nothing overflows.

    Notes
    -----
    What each number has above a common unit is split off without error; such parts add up exactly
    in double precision, in any order [1]_. The rest is summed the same way until none is left:
    three or four passes for numbers of like size.

    References
    ----------
    .. [1] S. M. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation, part I", SIAM
       Journal on Scientific Computing 31 (2008), 189-224: ExtractVector.

    Examples
    --------
    >>> float(exact_sum(np.array([1e100, 1.0, -1e100])))
    1.0
    """
    total, rest = Fraction(0), values.copy()
    high = np.empty_like(rest)  # two arrays for all passes: new ones cost more than the sums
    while len(rest) and (greatest := max(float(rest.max()), -float(rest.min()))):
        unit = ldexp(1.0, frexp(greatest)[1] + ceil(log2(len(rest) + 2)))
        np.add(rest, unit, out=high)
        high -= unit
        total += Fraction(float(high.sum()))
        rest -= high
    return total


def number_edges(values: Sequence[float]) -> list[float]:
    """Return bin edges on the quantiles of values: at most 255, each a value that occurs.

    Examples
    --------
    >>> number_edges([3.0, 1.0, 2.0, 2.0])
    [1.0, 2.0, 3.0]
    """
    known = np.asarray(values, dtype=np.float64)
    fractions = np.linspace(0.0, 1.0, N_BINS + 1)[1:-1]
    edges: list[float] = np.unique(np.quantile(known, fractions, method="inverted_cdf")).tolist()
    return edges


def frequent_levels(values: Iterable[Any]) -> list[str]:
    """Return the levels of a category by frequency, at most 50.

    Examples
    --------
    >>> frequent_levels(["a", "b", "b"])
    ['b', 'a']
    """
    names, counts = np.unique([str(value) for value in values], return_counts=True)
    order = sorted(zip(-counts, names.tolist(), strict=True))
    return [name for _, name in order[:_MAX_LEVELS]]


def _extreme(
    choose: Callable[[float, float], float], left: float | None, right: float | None
) -> float | None:
    """Return the smaller or greater of two ends; the known one where the other is not."""
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)


def _counts_between(edges: Floats, known: Floats) -> Counts:
    """Return how many of the sorted values lie in each bin: few edges are looked up, not values."""
    places = np.empty(len(edges) + 2, dtype=np.int64)
    places[0], places[-1] = 0, len(known)
    places[1:-1] = np.searchsorted(known, edges)
    return places[1:] - places[:-1]


def _origin(edges: Floats) -> float:
    """Return the middle edge, about which moments are kept: far from zero nothing cancels."""
    return float(edges[len(edges) // 2]) if len(edges) else 0.0
