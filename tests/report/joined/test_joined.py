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
from synthetic_dense import write_dense_study
from synthetic_study import edit_json, write_study

from foveate.errors import RequestError
from foveate.records.metric import DETECTION, SEGMENTATION, Metric, TaskRecord
from foveate.records.study import read_study
from foveate.report.joined.build import join_reports
from foveate.report.joined.charts import joined_figures
from foveate.report.joined.differences import Difference, find_differences
from foveate.report.joined.studies import JoinedStudies
from foveate.report.joined.tables import differences_table, joined_console, joined_table, note_of_differences
from foveate.report.study.build import build_report
from foveate.report.study.claims import conditions

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
def folders(tmp_path_factory) -> list[Path]:
    """Two studies, the second in a folder with a blank, with names that would break out."""
    root = tmp_path_factory.mktemp("joined")
    return [
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


@pytest.fixture(scope="module")
def two(folders) -> JoinedStudies:
    return join_reports(folders, folders[0].parent / "out" / "here", "dmsca-article")


@pytest.fixture(scope="module")
def page(two) -> str:
    return two.report.read_text(encoding="utf-8")


def test_the_json_has_the_studies_own_summaries(folders, two):
    content = json.loads(json.dumps(two.to_json(), allow_nan=False))
    assert list(content) == ["studies", "differences", "report"]
    alone = build_report(folders[1], "dmsca-article").to_json()
    assert content["studies"][1] == json.loads(json.dumps(alone))
    assert content["differences"] == [
        {"part": "data", "key": "fingerprint", "values": ["5f0c9a", "f" * 64]},
        {"part": "data", "key": "image_size", "values": [8, 32]},
        {"part": "recipe", "key": "epochs", "values": [2, 30]},
        {"part": "environment", "key": "accelerator", "values": ["cpu", "NVIDIA H200"]},
    ]
    assert content["report"] == str(two.report)


def test_what_differs_is_named_with_every_value(two):
    assert [(one.part, one.key) for one in two.differences] == [
        *(("data", "fingerprint"), ("data", "image_size"), ("recipe", "epochs")),
        ("environment", "accelerator"),
    ]
    assert note_of_differences(two) == (
        "The studies differ in data, recipe and environment, key by key below. Their rows stand side by "
        "side; nothing is averaged over studies. What two studies show differently may come from any of this."
    )
    rows = [[cell.main for cell in row] for row in differences_table(two).rows]
    assert rows[0] == ["data: fingerprint", "5f0c9a…", f"{'f' * 12}…"]
    assert rows[2] == ["recipe: epochs", "2", "30"]


def test_equal_studies_differ_in_nothing_and_are_told_apart_by_their_folders(tmp_path):
    folders = [small_study(tmp_path / "one"), small_study(tmp_path / "two")]
    joined = join_reports(folders)
    assert joined.differences == ()
    assert differences_table(joined) is None
    assert note_of_differences(joined).startswith("The studies differ in nothing")
    assert joined.report == tmp_path / "joined" / "index.html"
    assert [title for title, _ in joined.titled] == [f"one ({folder})" for folder in folders]


def test_a_key_that_one_study_has_not_differs(tmp_path):
    folders = [small_study(tmp_path / "one", recipe={"mixup": 0.2}), small_study(tmp_path / "two")]
    (difference,) = find_differences([read_study(folder) for folder in folders])
    assert difference == Difference("recipe", "mixup", (0.2, None))


def test_every_row_stands_beside_its_own_baseline(two):
    rows = joined_table(two).rows
    own = [(title, summary, row.attention) for title, summary in two.titled for row in summary.rows]
    assert len(own) == 5
    for cells, (title, summary, label) in zip(rows, own, strict=True):
        test = summary.against_baseline.get(label)
        assert cells[0] == ("baseline" if label == "none" else label, title)
        assert cells[3].main == (two.metric.write_difference(test.test.difference) if test else "–")
    with (two.report.parent / "results.csv").open(encoding="utf-8") as file:
        numbers = list(csv.DictReader(file))
    assert [row["study"] for row in numbers] == [title for title, _, _ in own]


def test_figures_have_a_row_for_each_mechanism_below_its_study(two):
    made = {figure.name: figure for figure in joined_figures(two)}
    assert list(made) == ["accuracy_macs", "accuracy_parameters", "differences"]
    (_, _, diamonds, heads) = made["differences"].spec["layer"]
    rows = made["differences"].spec["layer"][1]["data"]["values"]
    assert [(row["study"], row["mechanism"]) for row in rows] == [
        ("one", "se"),
        (f"two {HOSTILE}", HOSTILE),
        (f"two {HOSTILE}", "dmsca"),
    ]
    assert [head["line"] for head in heads["data"]["values"]] == ["000 ", "002 "]
    assert diamonds["encoding"]["x"]["title"] == "Difference to the study's own baseline, points"
    points = made["accuracy_macs"].spec["data"]["values"]
    assert [point["study"] for point in points] == ["one"] * 2 + [f"two {HOSTILE}"] * 3


def test_links_lead_to_the_studies_reports_and_names_stay_text(folders, two, page):
    links = re.findall(r'<h3><a href="([^"]+)">', page)
    assert [(two.report.parent / unquote(link)).resolve() for link in links] == [
        (folder / "report" / "index.html").resolve() for folder in folders
    ]
    assert not any(link.startswith("/") or " " in link for link in links)
    outline = Outline(page)
    assert outline.tags.count("script") == 3
    assert "b" not in outline.tags
    assert HOSTILE in outline.text
    assert all(address.startswith("data:image/svg+xml;base64,") for address in outline.fetched)


def test_tells_everything_in_order(two, page):
    assert re.findall(r"<h2 id[^>]*>([^<]+)</h2>", page) == [
        *(
            "What they differ in",
            "Studies",
            "Results",
            "Accuracy against cost",
            "Differences to the baseline",
        ),
        *("Article (theirs)", "How they were made"),
    ]
    text = Outline(page).text.replace("\N{NO-BREAK SPACE}", " ")
    columns = joined_table(two).columns
    for said in (*(column.note for column in columns), *conditions(two.studies[1]), note_of_differences(two)):
        assert said in text
    # Only what differs is there.
    assert "recipe: epochs" in text
    assert "recipe: optimizer" not in text


def test_poor_studies_join_too(tmp_path):
    one = small_study(tmp_path / "one", gains={"se": 0.0, "cbam": 0.01})
    (one / "cost.json").unlink()
    two = small_study(tmp_path / "two", gains={"none": 0.0}, unfinished=("none", 1))
    joined = join_reports([one, two, small_study(tmp_path / "three", noise=0.0)], tmp_path / "out")
    text = Outline(joined.report.read_text(encoding="utf-8")).text
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", text)
    (missing,) = joined.studies[1].missing
    assert missing in text


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


def test_studies_of_different_metrics_are_not_joined(tmp_path):
    folders = [small_study(tmp_path / "one"), small_study(tmp_path / "two")]
    loss = Metric(name="loss", title="Loss", unit="number", higher_is_better=False, high=None)
    task = TaskRecord(name="made up", metrics=(loss,))
    edit_json(folders[1] / "study.json", task=task.to_json())
    with pytest.raises(RequestError, match="one compares by Accuracy, % and .*two by Loss: join studies"):
        join_reports(folders)
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_every_number_whole(two, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(joined_console(two))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    for summary in two.studies:
        for row in summary.rows:
            mean = two.metric.write(row.scores["accuracy"].mean)
            assert any(f"{mean} ± " in line and " M " in line for line in lines)
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
    shutil.copytree(two.report.parent, tmp_path / "page")
    browser = open_page(tmp_path / "page" / "index.html", tmp_path / "profile", width=1280)
    assert "CONSOLE" not in browser.stderr
    assert len(re.findall(r'<svg[^>]*class="marks"', browser.stdout)) == 3


def test_studies_of_two_tasks_are_refused_and_detectors_are_told_apart(tmp_path):
    effects = {"none": 0.0, "se": 0.2}
    folders = [
        write_dense_study(tmp_path / name, task, effects, seeds=2)
        for name, task in (("one", DETECTION), ("two", DETECTION), ("masks", SEGMENTATION))
    ]
    with pytest.raises(
        RequestError, match="compares by mAP, % and .*masks by mIoU, %: join studies of the same"
    ):
        join_reports(folders, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()
    for folder, name in zip(folders, ("fcos", "retinanet"), strict=False):
        edit_json(folder / "study.json", dense={"name": name, "label": name, "norm": "batch"})
    joined = join_reports(folders[:2], tmp_path / "joined")
    assert joined.differences == (Difference("network", "detector or segmenter", ("fcos", "retinanet")),)
    page = Outline(joined.report.read_text(encoding="utf-8")).text
    assert "accura" not in page.lower()
    assert "mAP, %" in page
