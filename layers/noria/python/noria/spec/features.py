"""The features a spec may name, and the columns it may derive from others.

What each learns is in `noria.features.fitting`, what each computes in `noria.features.blocks` and
`noria.features.derive`.
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from noria.spec.section import Name, Section

CleaningStep = Literal["brackets", "urls", "tags", "digit_words", "non_alphabetic"]
Scale = Literal["standard", "minmax", "robust", "none"]
Columns = Annotated[tuple[str, ...], Field(min_length=1)]
EVERY = "*"  # all columns of the feature's type that no other feature of that kind names


def _compiles(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


class TextFeature(Section):
    """Terms of one or more text columns, cleaned and stemmed: TF-IDF, hashed, or reduced by SVD."""

    name: Name
    kind: Literal["text"]
    columns: Columns
    clean: tuple[CleaningStep, ...] = ("urls", "tags", "digit_words", "non_alphabetic")
    replace: tuple[tuple[str, str], ...] = ()  # (regular expression, replacement), applied first
    stop_words: Literal["none", "spanish"] = "none"
    extra_stop_words: tuple[str, ...] = ()
    stemming: Literal["none", "spanish", "english"] = "none"
    compatible: bool = False  # strip accents and join words at punctuation, as the old system did
    analyzer: Literal["word", "char_wb"] = "word"
    ngrams: tuple[int, int] = (1, 1)
    terms: Literal["vocabulary", "hashed"] = "vocabulary"
    max_features: int = Field(default=5000, ge=1, le=200_000)  # terms kept, or hash buckets
    min_df: int = Field(default=1, ge=1)  # documents
    sublinear_tf: bool = False
    components: int | None = Field(default=None, ge=2, le=500)  # truncated SVD of the terms
    scale: Scale = "none"  # of the components
    weight: float = Field(default=1.0, gt=0.0)

    @field_validator("replace")
    @classmethod
    def _patterns_compile(cls, value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, _ in value:
            _compiles(pattern)
        return value

    @field_validator("ngrams")
    @classmethod
    def _ngrams_are_a_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1] <= 8:
            raise ValueError("ngrams is [shortest, longest] with 1 <= shortest <= longest <= 8")
        return value


class NumericFeature(Section):
    """Imputed and scaled numbers."""

    name: Name
    kind: Literal["numeric"]
    columns: Columns
    impute: Literal["mean", "median", "mode", "group_mean", "none"] = "median"
    by: str | None = None  # category column whose groups have a mean each
    scale: Scale = "standard"

    @model_validator(mode="after")
    def _groups_are_named(self) -> "NumericFeature":
        if (self.by is not None) != (self.impute == "group_mean"):
            raise ValueError("impute = 'group_mean' and by = '<category column>' need each other")
        return self


class CategoricalFeature(Section):
    """One-hot levels; a level unseen in training is all zeros."""

    name: Name
    kind: Literal["categorical"]
    columns: Columns
    impute: Literal["mode", "level"] = "mode"  # "level": missing is a level of its own
    drop_first: bool = False
    min_rows: int = Field(default=1, ge=1)  # rarer levels are treated as unseen


class FrequencyFeature(Section):
    """How frequent a category was in training, in [0, 1]; unseen and missing are 0."""

    name: Name
    kind: Literal["frequency"]
    columns: Columns
    scale: Scale = "none"


class LevelFeature(Section):
    """Ordered levels of a number at edges learned in training; equal edges fall together."""

    name: Name
    kind: Literal["levels"]
    columns: Columns
    edges: Literal["quantiles", "positive"] = "quantiles"  # "positive": none, some, above the p90
    levels: int = Field(default=4, ge=2, le=20)  # of "quantiles"
    scale: Scale = "none"


class GroupFeature(Section):
    """Mean and deviation of a number in its row's group, and the number relative to the mean."""

    name: Name
    kind: Literal["group_statistics"]
    columns: Columns
    by: str  # category column
    scale: Scale = "standard"


class PolynomialFeature(Section):
    """Products of imputed, standardised numbers up to a degree."""

    name: Name
    kind: Literal["polynomial"]
    columns: Columns
    degree: int = Field(default=2, ge=2, le=4)
    interaction_only: bool = False
    scale: Scale = "standard"


class EmbeddingFeature(Section):
    """Meaning of texts by word vectors that were learned on 16 languages, Spanish and English too.

    The weighted mean of the words' vectors on the directions in which the training rows differ
    most. The words that training rows have, with their vectors, are part of the serving bundle:
    predict needs nothing else. A word that no training row has says nothing.
    """

    name: Name
    kind: Literal["embedding"]
    columns: Columns
    dimensions: int = Field(default=50, ge=1, le=512)
    max_features: int = Field(default=20_000, ge=1, le=100_000)  # words, those of the most rows
    scale: Scale = "none"


Feature = Annotated[
    TextFeature
    | NumericFeature
    | CategoricalFeature
    | FrequencyFeature
    | LevelFeature
    | GroupFeature
    | PolynomialFeature
    | EmbeddingFeature,
    Field(discriminator="kind"),
]

# What a feature's columns must be.
FEATURE_TAKES: dict[str, str] = {
    "text": "text",
    "numeric": "number",
    "categorical": "category",
    "frequency": "category",
    "levels": "number",
    "group_statistics": "number",
    "polynomial": "number",
    "embedding": "text",
}


# Settings of a derivation that have a default, and the kinds that read them.
_READ_BY = {
    "otherwise": ("first_match",),
    "separator": ("count", "years"),
    "threshold": ("above",),
}


class Derivation(Section):
    """A column computed from others, row by row, the same in training and in serving."""

    source: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)] = Field(alias="from")
    how: Literal[
        "length", "words", "matches", "count", "years", "first_match", "above", "log", "sqrt",
        "product", "ratio", "year", "month", "dayofweek", "quarter", "weekend",
    ] = Field(alias="as")  # fmt: skip
    pattern: str | None = None  # of "matches": 1 where it occurs, else 0
    patterns: tuple[tuple[str, str], ...] = ()  # of "first_match": (category, pattern)
    otherwise: str = "other"  # of "first_match"
    separator: str = ","  # of "count" and "years"
    threshold: float = 0.0  # of "above": 1 where the number is greater, else 0

    @field_validator("source", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Derivation":
        if len(self.source) != (2 if self.how in ("product", "ratio") else 1):
            raise ValueError("'product' and 'ratio' take two columns, all others one")
        if (self.how == "matches") != (self.pattern is not None):
            raise ValueError("as = 'matches' and pattern need each other")
        if (self.how == "first_match") != bool(self.patterns):
            raise ValueError("as = 'first_match' and patterns need each other")
        for key, kinds in _READ_BY.items():
            if key in self.model_fields_set and self.how not in kinds:
                raise ValueError(f"as = '{self.how}' reads no {key}; leave it out")
        for pattern in [self.pattern or "", *(pattern for _, pattern in self.patterns)]:
            _compiles(pattern)
        return self


def derived_from(columns: Collection[str], derived: Mapping[str, Derivation]) -> set[str]:
    """Return the names of what is derived from some columns, at any number of steps."""
    found = set[str]()
    for _ in derived:  # no chain is longer
        found |= {n for n, d in derived.items() if {*d.source}.intersection((*columns, *found))}
    return found


# What a derivation takes and makes; "string" is a text or a category.
DERIVATION_TYPES: dict[str, tuple[str, str]] = {
    "length": ("string", "number"),
    "words": ("string", "number"),
    "matches": ("string", "number"),
    "count": ("string", "number"),
    "years": ("string", "number"),
    "first_match": ("string", "category"),
    "above": ("number", "number"),
    "log": ("number", "number"),
    "sqrt": ("number", "number"),
    "product": ("number", "number"),
    "ratio": ("number", "number"),
    "year": ("time", "category"),
    "month": ("time", "category"),
    "dayofweek": ("time", "category"),
    "quarter": ("time", "category"),
    "weekend": ("time", "number"),
}
