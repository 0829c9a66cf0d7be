"""The results that the repository keeps, and what is written from them."""

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from foveate.errors import RequestError, WorkError
from foveate.notation import NOTHING
from foveate.records.labels import display_name
from foveate.records.metric import CLASSIFICATION, Metric
from foveate.report.core.notation import contrast_name, pair_name, points, score
from foveate.report.study.summary import SummaryRow

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "results"), str(ROOT / "tests" / "report")]
from synthetic_study import edit_json, run_record, write_study  # noqa: E402
from synthetic_transfer import write_record  # noqa: E402

from keep import keep_results, read_results, without_paths  # noqa: E402
from merge import merge_slices  # noqa: E402
from pages import BEGIN, END, documents, identity_starts, undertrained  # noqa: E402
from picture import BROWSERS, COLOURS, HEIGHT, WIDTH, draw_report, kept_page  # noqa: E402


def accuracy(row: SummaryRow, metric: Metric = CLASSIFICATION.primary) -> str:
    return score(row.scores[metric.name], metric)


def table_lines(text):
    lines = re.findall(r"^\| (.+) \|$", text, flags=re.MULTILINE)
    return [
        line.split(" | ")
        for line in lines
        if not line.startswith((":--", "Mechanism", "Comparison", "Option"))
    ]


@pytest.fixture
def root(tmp_path):
    """An empty repository with a README, and a study that was made in this machine's folders."""
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    folder = write_study(tmp_path / "study", seeds=3, epochs=2, classes=["a", "b", "c"])
    study = json.loads((folder / "study.json").read_text())
    data = study["data"] | {"source": "/home/somebody/data/cifar10", "notes": ["Read from ~/data/cifar10."]}
    environment = study["environment"] | {"platform": "Linux-6.1.0-somebodys-build-x86_64-with-glibc2.36"}
    command = "foveate compare --data ../../data/cifar10 --out=/tmp/x/study --attention none,se"
    edit_json(folder / "study.json", data=data, environment=environment, command=command)
    return tmp_path


@pytest.mark.parametrize("path", ["README.md", "results/README.md"])
def test_what_is_there_is_what_would_be_written_now(path):
    assert (ROOT / path).read_text(encoding="utf-8") == documents()[ROOT / path], "run: make results"


def test_every_row_comes_from_a_record():
    known = set()
    for result in read_results().values():
        metric = result.summary.metric
        known |= {(display_name(row.attention), accuracy(row, metric)) for row in result.summary.rows}
        for one in result.examined:
            known |= {(cells[0].replace("\\", ""), cells[1]) for cells in table_lines(one.table)}
    block = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)[2]
    for text in (block.partition(END)[0], (ROOT / "results/README.md").read_text(encoding="utf-8")):
        for cells in table_lines(text):
            name = cells[0].replace("\\", "")
            assert (name, cells[1]) in known or planned(name, cells[1]), cells


def planned(name, gain):
    """Whether a record has a comparison or a swept value of this name and figure."""
    for result in read_results().values():
        summary = result.summary
        rows = {row.attention: row for row in summary.rows}
        for test in summary.comparisons:
            if name == f"{contrast_name(test)} ({pair_name(test)})":
                return gain.split(" (")[0] == points(test.test.difference)
        for value in summary.study.design.values:
            if name.removesuffix(" (as it is)") == f"{value.option} = {value.value}":
                return gain.split(" (")[0] == accuracy(rows[value.label])
    return False


def test_no_record_that_is_kept_names_a_folder_of_a_machine():
    for file in (ROOT / "results").rglob("*.*"):
        assert not re.search(r"(?<![\w./:])(~|\.\.)?/(home|root|tmp|work|Users|mnt|data)\b", file.read_text())


def test_a_kept_study_is_its_summary_without_this_machines_paths(root):
    kept = keep_results(root / "study", "some-study", "dmsca-article", root)
    assert {file.name for file in kept.iterdir()} == {"summary.json", "results.md", "tests.md"}
    text = (kept / "summary.json").read_text(encoding="utf-8")
    assert not re.search(r"home|tmp|somebody|\.\./|~", text)
    summary = json.loads(text)
    assert summary["study"]["data"]["source"] == "cifar10"
    assert summary["study"]["data"]["notes"] == ["Read from cifar10."]
    assert summary["study"]["command"] == "foveate compare --data cifar10 --out=study --attention none,se"
    assert summary["study"]["environment"]["platform"] == "Linux-6.1.0"
    assert "report" not in summary
    assert len(summary["rows"]) == 4


def test_names_and_addresses_are_no_paths():
    for text in ("uoft-cs/cifar10", "https://doi.org/10.1/2", "torchvision/resnet50", "1 / 2", "images/s"):
        assert without_paths([text]) == [text]


def test_the_documents_say_how_and_what_does_not_show(root):
    keep_results(root / "study", "some-study", "dmsca-article", root)
    written = documents(root)
    readme, page = written[root / "README.md"], written[root / "results" / "README.md"]
    assert readme.startswith(f"before\n{BEGIN}\n")
    assert readme.endswith(f"{END}\nafter\n")
    assert "old" not in readme
    summary = read_results(root)["some-study"].summary
    for text in (readme, page):
        assert "AMD EPYC" in text
        assert "3 seeds" in text
        assert "torch 2.15.0" in text
        assert "Article (theirs), %" in text
        assert "- cbam: the article's +0.9 points lie above this study's 95 % interval" in text
        assert "cifar_resnet20 instead of ResNet-18" in text
        lines = table_lines(text)
        assert [line[0] for line in lines] == ["baseline", "se", "cbam", "dmsca"]
        for line, row in zip(lines, summary.rows, strict=True):
            assert line[1] == accuracy(row)
    assert "foveate compare --data cifar10" in page
    assert "learning_rate 0.1" in page


def test_what_was_examined_is_kept_with_it(root):
    write_record(root / "study", command="foveate transfer /home/somebody/study --to ../insects")
    kept = keep_results(root / "study", "some-study", None, root)
    assert (kept / "transfer_insects.md").is_file()
    written = documents(root)
    readme, page = written[root / "README.md"], written[root / "results" / "README.md"]
    assert "Transfer to insects: " in readme
    assert "### Transfer to insects" in page
    assert "Excluded: one image is broken." in page
    assert "foveate transfer study --to insects" in page
    assert "somebody" not in readme + page


def test_an_ablation_is_shown_by_its_comparisons(root):
    contrast = {"a": "none", "b": "se", "title": "+CA", "group": "against plain"}
    design = {"kind": "ablate", "subject": "sgfa", "contrasts": [contrast]}
    edit_json(root / "study" / "study.json", design=design)
    keep_results(root / "study", "parts", None, root)
    written = documents(root)
    assert [line[0] for line in table_lines(written[root / "README.md"])] == [
        "+CA, against the baseline (baseline → se)"
    ]
    page = table_lines(written[root / "results" / "README.md"])
    assert [line[0] for line in page][1:] == ["baseline", "se", "cbam", "dmsca"]
    assert page[2][2] != NOTHING
    assert "the parts of sgfa" in written[root / "README.md"]


def test_a_short_training_is_named_as_one(root):
    keep_results(root / "study", "some-study", None, root)
    summary = read_results(root)["some-study"].summary
    assert undertrained(summary) == []  # 2 epochs, and 95 %
    baseline = summary.rows[0]
    low = replace(baseline, scores={"accuracy": replace(baseline.scores["accuracy"], mean=0.638)})
    short = replace(summary, rows=(low, *summary.rows[1:]))
    (said,) = undertrained(short)
    assert said.startswith("These networks are not converged: after 2 epochs")
    assert "at 64 %" in said
    recipe = {**summary.study.recipe, "epochs": 200}
    long = replace(short, study=summary.study.model_copy(update={"recipe": recipe}))
    assert undertrained(long) == []


def test_a_start_as_the_identity_is_set_beside_the_default(tmp_path):
    gains = {"none": 0.0, "se": -0.03, "se(identity_init=True)": 0.01, "cbam": 0.0}
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}")
    study = write_study(tmp_path / "study", gains=gains, seeds=3)
    keep_results(study, "starts", None, tmp_path)
    summary = read_results(tmp_path)["starts"].summary
    (said,) = identity_starts(summary)
    means = {row.attention: row.scores["accuracy"].mean for row in summary.rows}
    identity = means["se(identity_init=True)"]
    assert f"- se: {points(identity - means['se'])} (" in said
    assert f"over its default start, {points(identity - means['none'])} (" in said
    assert said.count("\n- ") == 1
    assert said in documents(tmp_path)[tmp_path / "README.md"]


def test_an_extended_study_keeps_what_was_examined(root):
    gains = {"none": 0.0, "se": 0.003, "cbam": 0.004, "dmsca": 0.011}
    first = write_study(root / "first", gains=gains, seeds=3)
    write_record(first, command="foveate transfer first --to insects")
    keep_results(first, "some-study", None, root)
    wider = write_study(root / "wider", gains=gains | {"eca": 0.002}, seeds=3)
    kept = keep_results(wider, "some-study", None, root)
    assert (kept / "transfer_insects.md").is_file()
    assert "Transfer to insects: " in documents(root)[root / "README.md"]
    other = write_study(root / "other", gains=gains | {"se": -0.1}, seeds=3)
    kept = keep_results(other, "some-study", None, root)
    assert not (kept / "transfer_insects.md").exists()
    assert read_results(root)["some-study"].examined == ()


def test_slices_add_up_to_a_study(tmp_path):
    whole = write_study(tmp_path / "whole", seeds=4)
    slices = [write_study(tmp_path / name, seeds=4) for name in ("a", "b")]
    for folder, seeds in zip(slices, ({0, 1}, {1, 2, 3}), strict=True):
        for run in json.loads((folder / "study.json").read_text())["runs"]:
            if run["seed"] not in seeds:
                run_record(folder, run["attention"], run["seed"]).unlink()
    edit_json(run_record(slices[1], "se", 1), seconds=12345)  # the first slice's counts
    joined = tmp_path / "joined"
    runs = len(list((whole / "runs").iterdir()))
    assert merge_slices(slices, joined) == (runs, runs)
    for run in (whole / "runs").iterdir():
        assert (joined / "runs" / run.name / "result.json").read_text() == (run / "result.json").read_text()
    keep_results(joined, "joined", None, tmp_path)
    keep_results(whole, "whole", None, tmp_path)
    kept = read_results(tmp_path)
    assert kept["joined"].summary.rows == kept["whole"].summary.rows
    assert kept["joined"].summary.comparisons == kept["whole"].summary.comparisons


def test_slices_of_other_studies_are_refused(tmp_path):
    one, other = (write_study(tmp_path / name, seeds=2) for name in ("one", "other"))
    study = json.loads((other / "study.json").read_text())
    edit_json(other / "study.json", recipe=study["recipe"] | {"epochs": 99})
    with pytest.raises(RequestError, match="is no slice of the study in .*: its recipe is another"):
        merge_slices([one, other], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_nothing_kept_is_said(root):
    written = documents(root)
    assert [text.count("No measured study is kept yet.") for text in written.values()] == [1, 1]


def test_wrong_requests(root):
    with pytest.raises(RequestError, match=r"'\.\./x'"):
        keep_results(root / "study", "../x", None, root)
    with pytest.raises(RequestError, match="holds no study"):
        keep_results(root, "x", None, root)
    (root / "README.md").write_text("no marks")
    with pytest.raises(WorkError, match="one <!-- results:begin -->"):
        documents(root)


def test_the_picture_is_of_a_study_that_readme_quotes():
    kept = read_results()["digits"].summary
    page = kept_page(kept)
    assert kept.verdict[0] in (ROOT / "README.md").read_text(encoding="utf-8")
    assert kept.verdict[0] in page.replace("\N{NO-BREAK SPACE}", " ")
    assert page.count('class="live"') == 3
    assert 'id="curves"' not in page


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no chromium on PATH")
def test_the_picture_is_drawn_from_a_record_that_is_kept(tmp_path):
    shutil.copytree(ROOT / "results" / "digits", tmp_path / "results" / "digits")
    with Image.open(draw_report("digits", tmp_path)) as drawn, Image.open(ROOT / "docs/report.png") as there:
        assert drawn.size == there.size == (WIDTH, HEIGHT)
        assert drawn.mode == there.mode == "P"
        assert 16 < len(drawn.getcolors()) <= COLOURS
    with pytest.raises(RequestError, match="no study 'other': it has digits"):
        draw_report("other", tmp_path)
