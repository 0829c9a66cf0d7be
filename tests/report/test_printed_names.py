"""What a person reads calls the network without attention the baseline, whatever records call it."""

import io
import re
from pathlib import Path

import pytest
from browser import Outline
from golden_studies import GOLDEN
from rich.console import Console
from synthetic_profile import make_record, parse
from synthetic_study import edit_json, write_study

from foveate.records.study import read_study
from foveate.report.examined import build_examination
from foveate.report.joined.build import join_reports
from foveate.report.joined.tables import joined_console
from foveate.report.profile.build import write_profile
from foveate.report.profile.console import profile_console
from foveate.report.section_console import section_console
from foveate.report.sections import read_examined
from foveate.report.study.build import build_report
from foveate.report.study.console import console_table
from foveate.report.study.summarise import summarise

OTHER_WORD = re.compile(r"(?<![\w-])(?<!there is )(none(?= ?(?:$|[^\w\s-]|seed))|plain)(?![\w-])", re.M)
"""A typed word that stands for the baseline: not "of 20 changes none has", "that there is none"."""
RECORDS = Path(__file__).parents[1] / "records" / "golden"


def printed(content: object) -> str:
    console = Console(file=io.StringIO(), width=1000)
    console.print(content)
    return console.file.getvalue()


def texts(folder: Path) -> dict[str, str]:
    """What can be read of each page, table and figure in `folder`, without commands as they were typed."""
    found = {
        str(path): re.sub(
            "foveate (compare|profile|explain|transfer) .*",
            "",
            Outline(path.read_text(encoding="utf-8")).text,
        )
        for path in folder.rglob("*.html")
    }
    for kind in ("*.md", "*.tex"):
        found |= {str(path): path.read_text(encoding="utf-8") for path in folder.rglob(kind)}
    for path in folder.rglob("*.svg"):
        drawing = path.read_text(encoding="utf-8")
        read = [*re.findall(r'aria-label="([^"]*)"', drawing), *re.findall(r">([^<>]+)</text>", drawing)]
        found[str(path)] = "\n".join(read)
    return found


def check(texts: dict[str, str]) -> None:
    found = [
        (name, text[max(one.start() - 60, 0) : one.end() + 20])
        for name, text in texts.items()
        for one in OTHER_WORD.finditer(text)
    ]
    assert found == []
    assert any("baseline" in text for text in texts.values())


def test_the_check_finds_the_other_words():
    found = ["none", "| none | 3 |", "none, seed 0", "none(width=1.5)", "plain → se", "the plain network"]
    assert all(map(OTHER_WORD.search, found))
    assert not any(map(OTHER_WORD.search, ["of 20 changes none has an interval", "text/plain-er"]))


@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "networks"])
def test_a_study(tmp_path, name):
    write, article = GOLDEN[name]
    summary = build_report(write(tmp_path), article)
    folder = tmp_path / "report"
    check(texts(folder) | {"console": printed(console_table(summary))})


def test_a_study_with_a_larger_baseline_and_a_failed_run(tmp_path):
    gains = {"none": 0.0, "none(width=1.5)": 0.02, "se": -0.02, "dmsca": 0.03}
    folder = write_study(tmp_path, gains=gains, seeds=4, failed=("none", 1))
    control = {"label": "none(width=1.5)", "of": "dmsca", "measure": "macs", "asked": 100, "reached": 101}
    for controls in ([control], []):
        edit_json(folder / "study.json", design={"kind": "compare", "controls": controls})
        summary = build_report(folder)
        page = texts(folder / "report")
        check(page | {"console": printed(console_table(summary))})
        assert "baseline(width=1.5)" in " ".join(summary.verdict)


def test_a_study_without_a_finished_baseline(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01, "cbam": 0.02}, seeds=1, failed=("none", 0))
    check({"console": printed(console_table(summarise(read_study(folder))))})


def test_joined_studies(tmp_path):
    folders = [write_study(tmp_path / name, seeds=3) for name in ("first", "second")]
    joined = join_reports(folders, tmp_path / "joined")
    check(texts(tmp_path / "joined") | {"console": printed(joined_console(joined))})


@pytest.mark.parametrize("name", ["explain-study", "robustness", "robustness-prepared", "transfer-study"])
def test_an_examination(tmp_path, name):
    kind = name.partition("-")[0]
    path = tmp_path / f"{kind}.json"
    path.write_bytes((RECORDS / f"{name}.json").read_bytes())
    build_examination(tmp_path)
    examined = read_examined(path)
    check(texts(tmp_path) | {"console": printed(section_console(examined))})


def test_a_profile(tmp_path):
    record = make_record({"se": (1.2, 1.15, 1.25), "none(width=2.0)": (2.0, 1.95, 2.05)})
    record["warnings"] = [{"attention": "none", "text": "its times spread"}]
    write_profile(parse(record), tmp_path)
    check(texts(tmp_path) | {"console": printed(profile_console(parse(record)))})
