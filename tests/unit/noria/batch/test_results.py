import csv
import io

import numpy as np
import pyarrow as pa
import pytest

from noria.batch.results import _spread, merged_spread, quantile, table_bytes


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


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1x", "-x", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1", "\uff20x", "\u200b=1", "\ufeff=1",
     "\xa0=1", " =1", "a;=1", "a;\u200b\uff0b1", "a\n=1"],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_text_in_a_result(cell):
    """Cells and names of columns alike, in full width and after signs that show nothing too."""
    body = table_bytes(pa.table({cell: [cell]}), "csv", with_header=True)
    assert [*csv.reader(io.StringIO(body.decode(), newline=""))] == [[f"'{cell}"]] * 2


@pytest.mark.parametrize("cell", ["-5", "+5,5", "a=b", "a-b", "x;y", "ñ", "", "3.5;4"])
def test_other_texts_stay_as_they_are(cell):
    """Signed numbers are no formulas."""
    body = table_bytes(pa.table({"id": [cell, "x"]}), "csv", with_header=True)
    assert [row for row in csv.reader(io.StringIO(body.decode(), newline="")) if row][:-1] in (
        [["id"], [cell]],
        [["id"]],
    )


def test_a_missing_text_stays_missing():
    """Not the text "None", nor an apostrophe."""
    found = pa.table({"id": pa.array([None, "=x"]), "n": [1, 2]})
    assert table_bytes(found, "csv", with_header=False) == b',1\n"\'=x",2\n'
