"""The fitted view: what serving may leave out of it."""

from noria.spec.features import CategoricalFeature, NumericFeature, TextFeature
from tests.support.features import fitted

ROWS = [{"n": float(i), "c": "xyz"[i % 3], "t": f"red sede {i % 4}"} for i in range(12)]
FEATURES = [
    NumericFeature(name="n", kind="numeric", columns=("n",)),
    CategoricalFeature(name="c", kind="categorical", columns=("c",)),
    TextFeature(name="t", kind="text", columns=("t",)),
]


def test_a_narrowed_view_gives_the_kept_columns_and_leaves_unused_blocks_out():
    """Serving pays for what the model reads."""
    view = fitted(FEATURES, ROWS)
    kept = [0, *(i for i, origin in enumerate(view.origins()) if origin.feature == "t")]
    narrow, places = view.narrowed(kept)
    assert narrow.width == view.width - 3
    for row in ROWS:
        whole, part = view.transform(row), narrow.transform(row)
        assert [part.get(i) for i in places] == [whole.get(i) for i in kept]


def test_a_view_of_which_every_block_is_used_stays_as_it_is():
    """One column of a block keeps the block."""
    view = fitted(FEATURES, ROWS)
    narrow, places = view.narrowed([0, 2, view.width - 1])
    assert narrow.data == view.data
    assert places == [0, 2, view.width - 1]
