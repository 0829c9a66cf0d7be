"""Renders the one self-contained page of a report."""

import base64
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from foveate.report.claims import article_table, claims, conditions, with_article, with_points
from foveate.report.class_charts import MANY_CLASSES
from foveate.report.contrasts import contrasts_table, search_sentences, search_table, values_table
from foveate.report.notation import count, display_name, p_value
from foveate.report.tables import results_table, tests_table, training_table
from foveate.report.theme import Figure, theme

__all__ = ["render_page", "unbroken", "vega_script"]


def render_page(summary: dict[str, Any], drawings: list[tuple[Figure, str]]) -> str:
    """Render the page of `summary` with its figures, each with its SVG for print and for want of scripts.

    Names of classes and mechanisms come from folders and flags: everything is escaped, and the page's content
    security policy forbids it every request.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "display": display_name,
        "p_value": p_value,
        "unbroken": unbroken,
    }
    groups: dict[str, list[dict[str, Any]]] = {}
    for index, (figure, svg) in enumerate(drawings):
        still = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        groups.setdefault(figure.group, []).append({"index": index, "figure": figure, "still": still})
    return environment.get_template("page.html.j2").render(
        summary=summary,
        study=summary["study"],
        data=summary["study"]["data"],
        many_classes=MANY_CLASSES,
        results=with_article(results_table(summary), summary),
        tests=tests_table(summary),
        contrasts=with_points(contrasts_table(summary), summary),
        values=values_table(summary),
        search=search_table(summary),
        search_sentences=search_sentences(summary) if summary["study"]["design"]["search"] else [],
        training=training_table(summary),
        against=summary.get("against"),
        article=article_table(summary) if "against" in summary else None,
        conditions=conditions(summary) if "against" in summary else [],
        claims=claims(summary),
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
