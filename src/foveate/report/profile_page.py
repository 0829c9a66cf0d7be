"""Renders the one self-contained page of a profile."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from foveate.report.notation import display_name, magnitude
from foveate.report.page import unbroken, vega_script
from foveate.report.profile_tables import latency_table, parts_table, work_table
from foveate.report.profile_words import byte_size, conditions, headline, path_line, roofline_lines
from foveate.report.theme import Figure, theme

__all__ = ["render_profile"]


def render_profile(record: dict[str, Any], drawings: list[tuple[Figure, str]]) -> str:
    """Render the page of `record` with its figures, each with its SVG for print and for want of scripts.

    Names of mechanisms come from flags: everything is escaped, and the page asks for nothing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"display": display_name, "unbroken": unbroken}
    groups: dict[str, list[dict[str, Any]]] = {}
    for index, (figure, svg) in enumerate(drawings):
        still = base64.b64encode(svg.encode("utf-8")).decode("ascii")
        groups.setdefault(figure.group, []).append({"index": index, "figure": figure, "still": still})
    bounds = record["machine"]
    return environment.get_template("profile.html.j2").render(
        record=record,
        settings=record["settings"],
        headline=headline(record),
        conditions=conditions(record),
        latency=latency_table(record),
        work=work_table(record),
        parts=parts_table(record),
        paths=path_line(record),
        rooflines=roofline_lines(record),
        bounds=f"{byte_size(bounds['bandwidth'])}/s and {magnitude(bounds['flops'])}FLOP/s",
        groups=groups,
        charts={
            "specs": [figure.spec for figure, _ in drawings],
            "themes": {"light": theme("light"), "dark": theme("dark")},
        },
        vega=vega_script(),
    )
