"""Writes what lies beside the page: tables as CSV, Markdown and LaTeX, figures as SVG and PDF."""

import contextlib
import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import vl_convert

from foveate.errors import WorkError
from foveate.report.tables import Cell, Table
from foveate.report.theme import Figure, theme

__all__ = ["as_csv", "as_latex", "as_markdown", "as_pdf", "as_svg", "write"]

FIGURE_WIDTH = 560
"""In pixels of a figure's file, of 1/72 inch in PDF."""

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\to$",
    "–": "--",
}
MARKDOWN = {character: f"\\{character}" for character in r"\`*_[]<>|"}


def write(path: Path, content: str | bytes) -> None:
    """Write `content` beside `path` and rename it to `path`, so that no half-written file is left."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise WorkError(
            f"{path} could not be written: {error.strerror}. The records of the runs are untouched; make "
            "room or give the right to write there, then run `foveate report` on the study's folder."
        ) from error


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Give `rows` of equal keys as CSV with a header; what cannot be given is empty."""
    rows = list(rows)
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def as_markdown(table: Table) -> str:
    """Give `table` as a Markdown table, its numbers to the right."""
    head = [_escaped(column.title, MARKDOWN) for column in table.columns]
    rule = [":--", *["--:"] * (len(head) - 1)]
    body = [[_escaped(_one_line(cell), MARKDOWN) for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, rule, *body])


def as_latex(table: Table) -> str:
    r"""Give `table` as a LaTeX tabular with booktabs' rules, to be \input into a table."""
    lines = [
        [_escaped(text, LATEX) for text in row]
        for row in [
            [column.title for column in table.columns],
            *([_one_line(cell) for cell in row] for row in table.rows),
        ]
    ]
    head, *body = [" & ".join(cells) + r" \\" for cells in lines]
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def as_svg(figure: Figure) -> str:
    """Draw `figure` on white."""
    return vl_convert.vegalite_to_svg({**figure.spec, "width": FIGURE_WIDTH}, config=theme("light"))


def as_pdf(svg: str) -> bytes:
    """Turn a drawn figure into one page of PDF with its text as text."""
    return vl_convert.svg_to_pdf(svg)


def _one_line(cell: Cell) -> str:
    if cell.detail.startswith("±"):
        return f"{cell.main} {cell.detail}"
    return f"{cell.main} ({cell.detail})" if cell.detail else cell.main


def _escaped(text: str, replacements: dict[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)
