"""The files beside a page: tables as Markdown and LaTeX, numbers as CSV, figures as SVG and PDF."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import vl_convert

from foveate.errors import RequestError
from foveate.files import write_bytes, write_csv, write_text
from foveate.names import cleaned, map_strings, printable
from foveate.report.core.tables import Cell, Table
from foveate.report.core.theme import Figure, theme

__all__ = [
    "as_latex",
    "as_markdown",
    "as_pdf",
    "as_svg",
    "beside",
    "write_figures",
    "write_numbers",
    "write_tables",
]

FIGURE_WIDTH = 560
"""The width of a figure in its file: pixels, which are 1/72 inch in PDF."""

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
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\to$",
    "–": "--",
}
MARKDOWN = {character: f"\\{character}" for character in r"\`*_[]<>|&$~"}


def as_markdown(table: Table) -> str:
    """Return `table` in Markdown, with numbers right-aligned and text left-aligned."""
    head = [_escaped(column.title, MARKDOWN) for column in table.columns]
    rule = [":--", *(":--" if column.is_text else "--:" for column in table.columns[1:])]
    body = [[_escaped(_one_line(cell), MARKDOWN) for cell in row] for row in table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, rule, *body])


def as_latex(table: Table) -> str:
    r"""Return `table` as a LaTeX tabular with the rules of booktabs, for \input into a table."""
    sides = "".join("l" if column.is_text else "r" for column in table.columns[1:])
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
            rf"\begin{{tabular}}{{l{sides}}}",
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
    """Return `figure` drawn on white, as SVG.

    Its text is made `printable`: the drawing library ends the process at a control character.
    """
    spec = map_strings(figure.spec, printable)
    return vl_convert.vegalite_to_svg({**spec, "width": FIGURE_WIDTH}, config=theme("light"))


def as_pdf(svg: str) -> bytes:
    """Return a drawn figure as one page of PDF, with its text as text."""
    return vl_convert.svg_to_pdf(svg)


def _one_line(cell: Cell) -> str:
    if cell.detail.startswith("±"):
        text = f"{cell.main} {cell.detail}"
    else:
        text = f"{cell.main} ({cell.detail})" if cell.detail else cell.main
    return cleaned(re.sub(r"\s*[\n\r\t]\s*", " ", text))


def _escaped(text: str, replacements: Mapping[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)


def beside(folder: Path, name: str) -> Path:
    """Return the path of the file `name` in `folder`.

    Raises:
        RequestError: the name has folders in it. Names are made of what a record holds, and a record may
            come from anywhere.
    """
    if Path(name).name != name:
        raise RequestError(
            f"a record names a file {name!r} with folders in it, which foveate does not: it is not written"
        )
    return folder / name


def write_tables(folder: Path, tables: Iterable[Table]) -> None:
    """Write each table as Markdown and LaTeX into `folder`."""
    for table in tables:
        write_text(beside(folder, f"{table.name}.md"), as_markdown(table))
        write_text(beside(folder, f"{table.name}.tex"), as_latex(table))


def write_numbers(folder: Path, numbers: Mapping[str, Iterable[Mapping[str, object]]]) -> None:
    """Write the rows of each of `numbers` as CSV into `folder`, under their stem."""
    for name, rows in numbers.items():
        write_csv(beside(folder, f"{name}.csv"), rows)


def write_figures(folder: Path, figures: Sequence[Figure]) -> list[tuple[Figure, str]]:
    """Write each figure as SVG and PDF into figures/ of `folder`, and return them with their SVG."""
    drawings = [(figure, as_svg(figure)) for figure in figures]
    for figure, svg in drawings:
        write_text(beside(folder / "figures", f"{figure.name}.svg"), svg)
        write_bytes(beside(folder / "figures", f"{figure.name}.pdf"), as_pdf(svg))
    return drawings
