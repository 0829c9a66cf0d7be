"""Renders pages: templates, figures with their pictures for print, the scripts of Vega."""

import base64
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jinja2
import vl_convert
from markupsafe import Markup

from foveate.notation import count
from foveate.records.labels import display_name
from foveate.report.core.notation import p_equation
from foveate.report.core.pairs import readable_pairs
from foveate.report.core.theme import Figure, theme

__all__ = ["contents", "render", "unbroken", "vega_script"]

HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')
"""The heading of a section as the templates write it; what it holds is escaped already."""


class _Chart(NamedTuple):
    """A figure in a page: its place among all, and its SVG in base64, which is shown without scripts."""

    place: int
    figure: Figure
    still: str


def render(template: str, drawings: list[tuple[Figure, str]], **content: object) -> str:
    """Render one self-contained page.

    Names of classes, studies and mechanisms come from folders and flags: everything is escaped, and the
    page's content security policy forbids every request.

    Args:
        template: its path in the folder of this package.
        drawings: the figures, each with its SVG for browsers without scripts and for print.
        content: the variables of the template.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "base64": lambda file: base64.b64encode(file.read_bytes()).decode("ascii"),
        "contents": contents,
        "count": count,
        "display": display_name,
        "p_equation": p_equation,
        "readable": readable_pairs,
        "unbroken": unbroken,
    }
    groups: dict[str, list[_Chart]] = {}
    for index, (figure, svg) in enumerate(drawings):
        still = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        groups.setdefault(figure.group, []).append(_Chart(index, figure, still))
    return environment.get_template(template).render(
        **content,
        groups=groups,
        charts={
            "specs": [figure.spec for figure, _ in drawings],
            "themes": {"light": theme("light"), "dark": theme("dark")},
        },
        vega=vega_script(),
    )


def contents(main: Markup) -> list[tuple[Markup, Markup]]:
    """Return the anchor and the title of each section of a page, from its rendered headings."""
    return [(Markup(anchor), Markup(title)) for anchor, title in HEADING.findall(main)]


def unbroken(sentence: str) -> str:
    """Keep a number and its unit on one line: "95 %", "2.16 points", "p = 0.021"."""
    return re.sub(
        r"(?<=\d) (?=%|point|seed)|(?<=\bp) (?=[=<])|(?<=[=<]) (?=\d)", "\N{NO-BREAK SPACE}", sentence
    )


@lru_cache(maxsize=1)
def vega_script() -> Markup:
    """Return Vega, Vega-Lite and their embedding as one script.

    It comes from vl-convert, and is not escaped.
    """
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if "</script" in bundle:
        raise AssertionError("the Vega bundle would end its script element early")
    return Markup(bundle)
