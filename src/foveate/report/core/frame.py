"""What every page is made with: its template, its figures with their pictures for print, Vega in the page."""

import base64
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from foveate.records.labels import display_name
from foveate.report.core.notation import count, p_value
from foveate.report.core.theme import Figure, theme

__all__ = ["render", "unbroken", "vega_script"]


def render(template: str, drawings: list[tuple[Figure, str]], **content: Any) -> str:
    """Render one self-contained page of `content` with its figures, each with its SVG for want of scripts.

    Names of classes, studies and mechanisms come from folders and flags: everything is escaped, and the
    page's content security policy forbids it every request.
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
        "count": count,
        "display": display_name,
        "p_value": p_value,
        "unbroken": unbroken,
    }
    groups: dict[str, list[dict[str, Any]]] = {}
    for index, (figure, svg) in enumerate(drawings):
        still = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        groups.setdefault(figure.group, []).append({"index": index, "figure": figure, "still": still})
    return environment.get_template(template).render(
        **content,
        groups=groups,
        charts={
            "specs": [figure.spec for figure, _ in drawings],
            "themes": {"light": theme("light"), "dark": theme("dark")},
        },
        vega=vega_script(),
    )


def unbroken(sentence: str) -> str:
    """Keep a number and what belongs to it on one line: "95 %", "2.16 points", "p = 0.021"."""
    return re.sub(
        r"(?<=\d) (?=%|point|seed)|(?<=\bp) (?=[=<])|(?<=[=<]) (?=\d)", "\N{NO-BREAK SPACE}", sentence
    )


@lru_cache(maxsize=1)
def vega_script() -> Markup:
    """Vega, Vega-Lite and their embedding as one script; vl-convert's own, hence safe to leave unescaped."""
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if "</script" in bundle:
        raise AssertionError("the Vega bundle would end its script element early")
    return Markup(bundle)
