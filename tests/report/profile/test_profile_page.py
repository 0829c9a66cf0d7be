import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import CHROMIUM, open_page
from rich.console import Console
from synthetic_profile import RATIOS, make_record, parse

from foveate.profiling.warnings import warnings_of
from foveate.report.profile.build import write_profile
from foveate.report.profile.charts import profile_figures
from foveate.report.profile.console import profile_console

HOSTILE = "se(at=</script><b>x</b>)"


def printed(record, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(profile_console(parse(record)))
    return console.file.getvalue()


def test_terminal_has_every_column_within_100():
    record = make_record(RATIOS | {"dmsca(reduction=8)": (1.01, 0.98, 1.04)})
    record["warnings"] = [warning.to_json() for warning in warnings_of(parse(record))]
    text = printed(record)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    (row,) = [line for line in lines if line.startswith("dmsca  ") and "–" in line]
    assert " ".join(row.split()) == "dmsca 80.0 90.0 2.000 1.98–2.02 1.95–2.05 12.5 110 MB +10.0 MB"
    assert "? 1.010" in text
    assert "? dmsca(reduction=8): the 95 % interval" in text
    assert "+400 M +10.0 %" in text
    assert "gce" in text
    assert "75 %" in text


def test_brackets_in_names_are_no_markup():
    assert "se(at=[red]x[/red])" in printed(make_record({"se(at=[red]x[/red])": (2.0, 1.9, 2.1)}))


def test_compile_times_have_a_column_when_there_are_any():
    record = make_record()
    assert "compile" not in printed(record)
    record["settings"]["compile"] = True
    for row in record["rows"]:
        row["compile_seconds"] = 31.25
    assert "31.2" in printed(record)


def test_folder_holds_page_record_numbers_tables_and_figures(tmp_path):
    record = make_record()
    page = Path(write_profile(parse(record), tmp_path / "out"))
    assert page == tmp_path / "out" / "index.html"
    assert {path.name for path in page.parent.iterdir()} == {
        *("index.html", "profile.json", "profile.csv", "latency.md", "work.md", "figures")
    }
    assert json.loads((tmp_path / "out" / "profile.json").read_text(encoding="utf-8")) == record
    with (tmp_path / "out" / "profile.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["attention"] for row in rows] == ["none", "se", "dmsca"]
    assert float(rows[2]["latency_ratio_ci95_low"]) == 1.95
    assert rows[0]["roofline_bound"] == ""
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert figures == {path.stem for path in (tmp_path / "out" / "figures").glob("*.pdf")}
    assert len(figures) == 6
    links = re.findall(r'href="([^#"]+)"', page.read_text(encoding="utf-8").partition("<script")[0])
    assert links
    assert all((page.parent / link).exists() for link in links)


class Outline(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = [""]
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.tags[-1] not in ("script", "style"):
            self.text += data


def test_page_tells_everything_and_keeps_names_text(tmp_path):
    record = make_record({HOSTILE: (1.01, 0.99, 1.03), "dmsca": (2.0, 1.95, 2.05)})
    record["warnings"] = [warning.to_json() for warning in warnings_of(parse(record))]
    page = Path(write_profile(parse(record), tmp_path)).read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.tags.count("script") == 3
    assert "b" not in outline.tags
    assert HOSTILE in outline.text
    for said in (
        *(
            "To be taken with care",
            "the difference from the baseline is not significant",
            "How far from the bounds",
        ),
        *("20.0 GB/s and 100 GFLOP/s", "Where the time goes", "foveate profile --backbone", "AMD EPYC"),
    ):
        assert said in outline.text
    assert not re.search(r"\b(None|nan|Undefined)\b", outline.text)


def test_percentages_of_latency_are_explained_beside_p50s(tmp_path):
    record = make_record({"se": (1.5, 1.4, 1.6)})
    record["rows"][1]["latency_ms_p50"] = 50.0
    text = Outline(Path(write_profile(parse(record), tmp_path)).read_text(encoding="utf-8")).text
    assert "se: +50.0 % by the ratios, +25.0 % by the p50s." in text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("case", ["baseline alone", "no memory account", "no interval", "training"])
def test_poor_profiles_have_a_page_and_a_table_too(tmp_path, case):
    record = make_record(
        {} if case == "baseline alone" else None, mode="training" if case == "training" else "inference"
    )
    for row in record["rows"]:
        if case == "no memory account":
            row |= {"peak_bytes": None, "peak_bytes_added": None, "peak_bytes_increase_percent": None}
        if case == "no interval":
            row["latency_ratio_ci95"] = None
    record["warnings"] = [warning.to_json() for warning in warnings_of(parse(record))]
    text = Outline(Path(write_profile(parse(record), tmp_path)).read_text(encoding="utf-8")).text
    for said in (text, printed(record)):
        assert "baseline" in said
        assert not re.search(r"\b(None|nan|inf|Undefined)\b", said)


def test_figures_say_in_words_what_they_show():
    latency, *costs = profile_figures(parse(make_record()))
    assert latency.description == (
        "Latency as a multiple of the baseline's: se 1.07 times (1.06–1.08); dmsca 2.00 times (1.95–2.05)."
    )
    assert [figure.name for figure in costs] == [
        *("added_parameters", "added_macs", "added_element_wise", "added_bytes_moved", "added_peak_bytes")
    ]
    assert costs[1].description == "Multiply-adds over the baseline: se +1.0 %; dmsca +10.0 %."


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_opens_in_a_browser_with_its_charts_drawn(tmp_path):
    page = Path(
        write_profile(parse(make_record({HOSTILE: (1.01, 0.99, 1.03), "dmsca": (2.0, 1.9, 2.1)})), tmp_path)
    )
    browser = open_page(page, tmp_path / "profile")
    assert "CONSOLE" not in browser.stderr
    assert len(re.findall(r'<svg[^>]*class="marks"[^>]*>', browser.stdout)) == 6
