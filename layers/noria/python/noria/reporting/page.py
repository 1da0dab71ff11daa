"""A report as one HTML file: no script, no network; what comes from rows or people is escaped."""

import base64
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from noria.reporting.numbers import number_text


def render_page(template: str, pictures: Iterable[tuple[str, str]], **shown: Any) -> bytes:
    """Return a template of `templates/`, filled.

    Parameters
    ----------
    pictures : pairs of (name, SVG text)
        In the template `pictures`, as addresses of images.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        loader=FunctionLoader(_template),
    )
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda value: f"{value:.1%}"
    images = {name: _image(svg) for name, svg in pictures}
    page = environment.get_template(template)
    return page.render(pictures=images, style=_template("page.css"), **shown).encode()


def _template(name: str) -> str:
    return files("noria.reporting").joinpath(f"templates/{name}").read_text("utf-8")


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return number_text(value) if isinstance(value, float) else str(value)


def _image(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
