import numpy as np
import pytest

from noria.reporting import pictures

DRAWN = {
    "bars": lambda name: pictures.bars({name: 1.0, "other": 2.0}, "share"),
    "axis": lambda name: pictures.bars({"a": 1.0}, name),
    "confusion": lambda name: pictures.confusion(np.array([[3, 1], [1, 3]]), [name, "other"]),
    "residuals": lambda name: pictures.residuals(np.arange(4.0), np.ones(4), name),
    "correlations": lambda name: pictures.correlations([name, "b"], np.eye(2)),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
@pytest.mark.parametrize("name", ["$0_$50k", "$\\frac{1}{$", "a$b$c"])
def test_a_name_that_looks_like_a_formula_is_drawn_as_text(draw, name):
    """Matplotlib reads text between dollars as mathematics, and stops at a wrong one."""
    assert f"<!-- {name}" in draw(name) or f"{name} -->" in draw(name)
