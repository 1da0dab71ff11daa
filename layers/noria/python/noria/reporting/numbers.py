"""Numbers as people write them: 191,700, not 1.917e+05."""

from math import floor, isfinite, log10

_DIGITS = 4
_LEAST, _MOST = 1e-4, 1e15  # outside of them powers of ten say more than zeros


def number_text(value: float) -> str:
    """Return a number with four digits that matter, whole above 1,000, without a power of ten.

    Examples
    --------
    >>> [number_text(value) for value in (191743.2, 1234.5, 12.34567, 0.50, 0.00123456, 0.0)]
    ['191,743', '1,234', '12.35', '0.5', '0.001235', '0']
    >>> [number_text(value) for value in (-0.25, 9.99999, 2e-07, 3e+20, float("nan"))]
    ['-0.25', '10', '2e-07', '3e+20', 'nan']
    """
    size = abs(value)
    if not isfinite(value) or (size and not _LEAST <= size < _MOST):
        return f"{value:.{_DIGITS}g}"
    if size >= 10 ** (_DIGITS - 1):
        return f"{value:,.0f}"
    places = _DIGITS - 1 - floor(log10(size)) if size else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
