"""Renders the one self-contained page of several studies."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from foveate.report.core.frame import render
from foveate.report.core.theme import Figure
from foveate.report.joined.tables import differences_table, joined_table, note_of_differences, study_titles
from foveate.report.study.claims import claims, conditions
from foveate.version import __version__

__all__ = ["render_joined"]


def render_joined(joined: dict[str, Any], drawings: list[tuple[Figure, str]], out: Path) -> str:
    """Render the page of `joined`, to lie in the folder `out`, with its figures and their SVG.

    Names of studies and mechanisms come from folders and flags: everything is escaped, and the page asks for
    nothing.
    """
    studies = [
        {
            "title": title,
            "summary": summary,
            "link": _relative(Path(summary["report"]), out),
            "conditions": conditions(summary) if "against" in summary else [],
            "claims": claims(summary),
        }
        for title, summary in zip(study_titles(joined["studies"]), joined["studies"], strict=True)
    ]
    return render(
        "joined/page.html.j2",
        drawings,
        studies=studies,
        version=__version__,
        note=note_of_differences(joined),
        differences=differences_table(joined),
        results=joined_table(joined),
        article=next((s["against"] for s in joined["studies"] if "against" in s), None),
    )


def _relative(page: Path, out: Path) -> str:
    """The address of `page` from a page in `out`."""
    return quote(Path(os.path.relpath(page.resolve(), out.resolve())).as_posix())
