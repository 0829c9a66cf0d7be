import csv

import pytest
from synthetic_study import write_study

from foveate.errors import WorkError
from foveate.names import cleaned
from foveate.report.core.files import as_latex, as_markdown, as_pdf, as_svg
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.core.theme import Figure
from foveate.report.study.build import build_report

TABLE = Table(
    "t", "caption", [Column("Name"), Column("A, %")], [[Cell("a_b|c & <d>", "−1 %"), Cell("1", "± 2")]]
)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_everything_lies_beside_the_page_and_nothing_temporary(hostile_report):
    report = hostile_report / "report"
    names = {path.name for path in report.iterdir()}
    assert names == {
        *("index.html", "figures", "results.csv", "results.md", "results.tex"),
        *("tests.csv", "tests.md", "tests.tex", "curves.csv", "per_class.csv", "confusion.csv"),
        *("class_changes.csv", "class_changes.md", "class_changes.tex"),
        *("paying.md", "paying.tex", "trajectories.csv"),
    }
    stems = {path.stem for path in (report / "figures").glob("*.svg")}
    assert len(stems) == 17
    assert stems == {path.stem for path in (report / "figures").glob("*.pdf")}
    assert (report / "figures" / "differences.pdf").read_bytes().startswith(b"%PDF")


def test_csv_holds_the_numbers(hostile_report):
    report = hostile_report / "report"
    results = read_csv(report / "results.csv")
    assert [row["attention"] for row in results] == ["none", "se", "cbam", "dmsca"]
    assert float(results[3]["accuracy_mean"]) == pytest.approx(0.97, abs=0.02)
    assert results[0]["efficiency_score"] == ""
    assert [row["n"] for row in read_csv(report / "tests.csv")] == ["5", "4", "5", "4", "5", "4"]
    assert len(read_csv(report / "curves.csv")) == 19 * 12
    per_class = read_csv(report / "per_class.csv")
    assert len(per_class) == 19 * 10
    assert per_class[0]["class"] == "<script>alert(1)</script>"
    assert sum(int(row["count"]) for row in read_csv(report / "confusion.csv")) == 19 * 10 * 36


def test_markdown_escapes():
    assert as_markdown(TABLE) == (
        "| Name | A, % |\n| :-- | --: |\n| a\\_b\\|c \\& \\<d\\> (−1 %) | 1 ± 2 |\n"
    )


def test_a_name_stays_in_its_cell_and_in_its_direction():
    name = "a\nb \u202ec\x1b[31m $x$ ~~d~~"
    table = Table("t", "caption", [Column("Name"), Column("A")], [[Cell(name), Cell("1")]])
    assert as_markdown(table).splitlines()[2] == (r"| a b \\u202ec\\x1b\[31m \$x\$ \~\~d\~\~ | 1 |")
    assert as_latex(table).splitlines()[5] == (
        r"a b \textbackslash{}u202ec\textbackslash{}x1b[31m \$x\$ "
        r"\textasciitilde{}\textasciitilde{}d\textasciitilde{}\textasciitilde{} & 1 \\"
    )


@pytest.mark.parametrize("character", ["\x1b", "\x01", "\x00", "\ufffe"], ids=ascii)
def test_a_control_character_is_drawn_written_out(character):
    """The drawing library ends the whole process at one, after all training."""
    chart = {
        "data": {"values": [{"a": f"cat{character}", "b": 1}]},
        "mark": "bar",
        "encoding": {"y": {"field": "a", "type": "nominal"}, "x": {"field": "b", "type": "quantitative"}},
    }
    svg = as_svg(Figure("f", "title", "description", "group", chart))
    assert f"cat{cleaned(character)}" in svg
    assert as_pdf(svg).startswith(b"%PDF")


def test_latex_escapes():
    assert as_latex(TABLE).splitlines() == [
        r"% Needs \usepackage{booktabs}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Name & A, \% \\",
        r"\midrule",
        r"a\_b\textbar{}c \& \textless{}d\textgreater{} ($-$1 \%) & 1 $\pm$ 2 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_where_the_report_cannot_be_is_failed_work(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0}, seeds=1)
    (folder / "report").write_text("in the way")
    with pytest.raises(WorkError, match=r"cannot write .*report"):
        build_report(folder)
