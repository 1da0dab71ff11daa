import numpy as np
import pytest

from noria.batch.results import _spread, merged_spread, quantile


@pytest.mark.parametrize("n_parts", [1, 3, 50])
def test_quantiles_of_many_parts_are_those_of_all_values(n_parts):
    """Within a hundredth of the rows, however many parts; the ends are exact."""
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.lognormal(size=5000), [1e6]])
    parts = np.array_split(rng.permutation(values), n_parts)
    spread = merged_spread([_spread(part) for part in parts])
    for share in (0.01, 0.1, 0.33, 0.5, 0.66, 0.9, 0.98):
        found = quantile(spread, share)
        assert abs((values <= found).mean() - share) <= 0.011
    assert (quantile(spread, 0.0), quantile(spread, 1.0)) == (values.min(), 1e6)
    assert spread.n == len(values)


def test_nothing_has_no_spread():
    """A part whose rows were all refused."""
    assert merged_spread([None, _spread(np.zeros(0))]) is None
