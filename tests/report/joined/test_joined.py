import csv
import io
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import CHROMIUM, Outline, open_page
from rich.console import Console
from synthetic_study import edit_json, write_study

from foveate.errors import RequestError
from foveate.records.study import read_records
from foveate.report.joined.build import find_differences, join_reports
from foveate.report.joined.tables import joined_console
from foveate.report.study.build import build_report

CLASSES = ["a", "b", "c"]
HOSTILE = "</script><b>x</b>"


def small_study(folder, name="one", *, gains=None, recipe=None, data=None, environment=None, **options):
    folder = write_study(
        folder, gains=gains or {"none": 0.0, "se": 0.01}, seeds=3, epochs=2, classes=CLASSES, **options
    )
    study = json.loads((folder / "study.json").read_text())
    changed = {"recipe": recipe, "data": data, "environment": environment}
    changes = {key: study[key] | (value or {}) for key, value in changed.items()}
    edit_json(folder / "study.json", name=name, **changes)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two studies, the second in a folder with a blank, joined with names that would break out."""
    root = tmp_path_factory.mktemp("joined")
    folders = [
        small_study(root / "one"),
        small_study(
            root / "t w o",
            f"two {HOSTILE}",
            gains={"none": 0.0, HOSTILE: 0.02, "dmsca": -0.01},
            recipe={"epochs": 30},
            data={"fingerprint": "f" * 64, "image_size": 32},
            environment={"accelerator": "NVIDIA H200"},
        ),
    ]
    return folders, join_reports(folders, root / "out" / "here", "dmsca-article")


def test_the_summaries_are_the_studies_own(two):
    folders, joined = two
    assert list(joined) == ["studies", "differences", "report"]
    assert json.loads(json.dumps(joined, allow_nan=False)) == joined
    again = build_report(folders[1], "dmsca-article")
    assert joined["studies"][1] == again


def test_only_what_differs_is_named_with_every_value(two):
    _, joined = two
    found = {(one["part"], one["key"]): one["values"] for one in joined["differences"]}
    assert found == {
        ("data", "fingerprint"): ["5f0c9a", "f" * 64],
        ("data", "image_size"): [8, 32],
        ("recipe", "epochs"): [2, 30],
        ("environment", "accelerator"): ["cpu", "NVIDIA H200"],
    }
    text = Outline(Path(joined["report"]).read_text(encoding="utf-8")).text
    note = text[text.index("What they differ in") :]
    assert "The studies differ in data, recipe and environment, key by key below." in note
    assert "nothing is averaged over studies" in note
    assert re.search(r"recipe: epochs\s+2\s+30\s", text)
    assert "recipe: optimizer" not in text


def test_equal_studies_are_said_to_be_equal(tmp_path):
    folders = [small_study(tmp_path / "one"), small_study(tmp_path / "two")]
    assert find_differences([read_records(folder) for folder in folders]) == []
    joined = join_reports(folders)
    assert joined["report"] == str(tmp_path / "joined" / "index.html")
    text = Outline(Path(joined["report"]).read_text(encoding="utf-8")).text
    assert "The studies differ in nothing that was recorded beside their mechanisms." in text
    # Studies of one name are told apart by their folders.
    assert f"one ({tmp_path / 'two'})" in text


def test_a_key_that_one_study_has_not_differs(tmp_path):
    folders = [small_study(tmp_path / "one", recipe={"mixup": 0.2}), small_study(tmp_path / "two")]
    (difference,) = find_differences([read_records(folder) for folder in folders])
    assert difference == {"part": "recipe", "key": "mixup", "values": [0.2, None]}


def test_every_row_is_set_against_its_own_plain(two):
    _, joined = two
    out = Path(joined["report"]).parent
    lines = [line.split(" | ") for line in (out / "results.md").read_text(encoding="utf-8").splitlines()[2:]]
    assert len(lines) == 5
    for line, (summary, label) in zip(
        lines, [(s, row["attention"]) for s in joined["studies"] for row in s["rows"]], strict=True
    ):
        test = next((t for t in summary["tests"] if (t["a"], t["b"]) == ("none", label)), None)
        gain = f"{100 * test['difference']:+.2f}".replace("-", "−") if test else "–"
        assert line[3].startswith(gain)
    with (out / "results.csv").open(encoding="utf-8") as file:
        numbers = list(csv.DictReader(file))
    assert [row["study"] for row in numbers] == ["one"] * 2 + [f"two {HOSTILE}"] * 3


def test_links_lead_to_the_studies_reports_and_names_stay_text(two):
    folders, joined = two
    page = Path(joined["report"]).read_text(encoding="utf-8")
    links = re.findall(r'<h3><a href="([^"]+)">', page)
    assert [(Path(joined["report"]).parent / unquote(link)).resolve() for link in links] == [
        (folder / "report" / "index.html").resolve() for folder in folders
    ]
    assert not any(link.startswith("/") or " " in link for link in links)
    outline = Outline(page)
    assert outline.tags.count("script") == 3
    assert "b" not in outline.tags
    assert HOSTILE in outline.text
    assert all(address.startswith("data:image/svg+xml;base64,") for address in outline.fetched)


def test_tells_everything_in_order(two):
    page = Path(two[1]["report"]).read_text(encoding="utf-8")
    assert re.findall(r"<h2 id[^>]*>([^<]+)</h2>", page) == [
        *("What they differ in", "Studies", "Results", "Accuracy against cost", "Differences to plain"),
        *("Article (theirs)", "How they were made"),
    ]
    text = Outline(page).text
    assert "Comparable inside of a study only" in text
    assert "adjusted for the comparisons of its own study alone" in text
    assert "cifar_resnet20 instead of ResNet-18" in text


def test_poor_studies_join_too(tmp_path):
    one = small_study(tmp_path / "one", gains={"se": 0.0, "cbam": 0.01})
    (one / "cost.json").unlink()
    two = small_study(tmp_path / "two", gains={"none": 0.0}, unfinished=("none", 1))
    joined = join_reports([one, two, small_study(tmp_path / "three", noise=0.0)], tmp_path / "out")
    text = Outline(Path(joined["report"]).read_text(encoding="utf-8")).text
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", text)
    assert "The run of none with seed 1 has not finished." in text


def test_wrong_requests_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = small_study(tmp_path / "one"), small_study(tmp_path / "two")
    for folders, options, message in [
        ([one], {}, "two studies or more"),
        ([one, Path("two/../one")], {}, "are the same study"),
        ([one, tmp_path / "three"], {}, "three holds no study"),
        ([one, two], {"against": "sgfa"}, "unknown article 'sgfa'"),
        ([one, two], {"out": two}, "two is a study's folder"),
    ]:
        with pytest.raises(RequestError, match=message):
            join_reports(folders, **options)
    assert sorted(path.name for path in tmp_path.rglob("*.html")) == []


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_every_number_whole(two, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(joined_console(two[1]))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    for summary in two[1]["studies"]:
        for row in summary["rows"]:
            assert any(f"{100 * row['accuracy']['mean']:.2f} ± " in line and " M " in line for line in lines)
    assert any(line.split() == ["recipe:", "epochs", "2", "30"] for line in lines)


def test_the_command_joins_and_rebuilds(tmp_path, in_process, capsys):
    one, two = small_study(tmp_path / "one"), small_study(tmp_path / "two", failed=("se", 1))
    record = tmp_path / "joined.json"
    # 1, as a run is missing: the same as for a study alone
    assert in_process("report", str(one), str(two), "--json", str(record), folder=tmp_path) == 1
    assert json.loads(record.read_text())["report"] == str(tmp_path / "joined" / "index.html")
    beside = ["--against", "dmsca-article", "--json", str(record)]
    assert in_process("report", str(one), *beside, folder=tmp_path) == 0
    assert json.loads(record.read_text())["against"]["article"] == "dmsca-article"
    assert "Printed accuracies are of ResNet-18" in " ".join(capsys.readouterr().out.split())
    assert in_process("report", str(one), "--out", str(tmp_path / "x"), folder=tmp_path) == 2


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_its_charts_are_drawn_in_a_browser(two, tmp_path):
    shutil.copytree(Path(two[1]["report"]).parent, tmp_path / "page")
    browser = open_page(tmp_path / "page" / "index.html", tmp_path / "profile", width=1280)
    assert "CONSOLE" not in browser.stderr
    assert len(re.findall(r'<svg[^>]*class="marks"', browser.stdout)) == 3
