"""Renders the one self-contained page of a report."""

from collections.abc import Sequence
from typing import Any

from foveate.report.core.frame import render
from foveate.report.core.section import Section
from foveate.report.core.theme import Figure
from foveate.report.study.claims import article_table, claims, conditions, with_article, with_points
from foveate.report.study.class_changes import MANY_CLASSES, class_changes_sentences
from foveate.report.study.contrasts import contrasts_table, search_sentences, search_table, values_table
from foveate.report.study.tables import results_table, tests_table, training_table

__all__ = ["render_page"]


def render_page(
    summary: dict[str, Any], drawings: list[tuple[Figure, str]], sections: Sequence[Section] = ()
) -> str:
    """Render the page of `summary` with its figures, each with its SVG for print and for want of scripts.

    `sections` are those of what examined the trained networks.

    Names of classes and mechanisms come from folders and flags: everything is escaped, and the page's content
    security policy forbids it every request.
    """
    return render(
        "study/page.html.j2",
        drawings,
        summary=summary,
        study=summary["study"],
        data=summary["study"]["data"],
        many_classes=MANY_CLASSES,
        class_sentences=class_changes_sentences(summary["class_changes"], summary["untested_classes"]),
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
        sections=sections,
    )
