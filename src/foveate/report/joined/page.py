"""Renders the one self-contained page of several studies."""

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from foveate.report.core.frame import render
from foveate.report.core.theme import Figure
from foveate.report.joined.studies import JoinedStudies
from foveate.report.joined.tables import differences_table, joined_table, note_of_differences
from foveate.report.study.claims import claims, conditions
from foveate.report.study.summary import Summary
from foveate.version import __version__

__all__ = ["render_joined"]


class StudyOnPage(NamedTuple):
    """A study as the page shows it: `link` leads to its own report."""

    title: str
    summary: Summary
    link: str
    conditions: list[str]
    claims: list[str]


def render_joined(joined: JoinedStudies, drawings: list[tuple[Figure, str]], out: Path) -> str:
    """Render the page of `joined`, to lie in the folder `out`, with its figures and their SVG.

    Names of studies and mechanisms come from folders and flags: everything is escaped, and the page makes no
    request.
    """
    studies = [
        StudyOnPage(title, summary, _relative(summary.report, out), conditions(summary), claims(summary))
        for title, summary in joined.titled
    ]
    return render(
        "joined/page.html.j2",
        drawings,
        studies=studies,
        version=__version__,
        note=note_of_differences(joined),
        differences=differences_table(joined),
        results=joined_table(joined),
        article=joined.article,
        metric=joined.metric,
    )


def _relative(page: Path, out: Path) -> str:
    """Return the address of `page` from a page in `out`."""
    return quote(Path(os.path.relpath(page.resolve(), out.resolve())).as_posix())
