"""The page of a study of detection and of segmentation."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Outline
from PIL import Image
from synthetic_dense import NAMES, write_dense_study
from synthetic_samples import add_samples
from synthetic_study import edit_json

from foveate.records.metric import DETECTION, SEGMENTATION, TaskRecord
from foveate.records.samples import SAMPLES
from foveate.records.study import read_study
from foveate.records.truth import TRUTH
from foveate.report.study.build import build_report
from foveate.report.study.samples import PICTURES, draw_samples
from foveate.report.study.summarise import summarise

SHIFTS = {"none": 0.0, "se": 0.5}


def make(folder: Path, task: TaskRecord) -> Path:
    write_dense_study(folder, task, SHIFTS, seeds=2)
    add_samples(folder)
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def detection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("detection"), DETECTION)


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("segmentation"), SEGMENTATION)


def page_of(folder: Path) -> str:
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "report" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_nothing_on_the_page_is_of_a_classification(task: str, request: pytest.FixtureRequest) -> None:
    text = Outline(page_of(request.getfixturevalue(task))).text
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", text)
    assert not re.search(r"accura|guess|\banswer", text.lower().replace("pixel accuracy", ""))


def test_the_page_of_a_detector_has_its_sections(detection: Path) -> None:
    heads = re.findall(r"<h2 id[^>]*>([^<]+)</h2>", page_of(detection))
    assert heads == [
        *("Verdict", "Results", "mAP against cost", "Differences to the baseline", "Training"),
        *("When does it start to pay?", "Tests", "Precision and recall", "Detections", "Classes"),
        *("Speed of training", "Data", "How it was made"),
    ]
    figures = {path.stem for path in (detection / "report" / "figures").glob("*.svg")}
    assert {"precision_recall_50", "precision_recall_75", "confusion_0", "confusion_1"} <= figures
    # A detector has no loss in evaluation, and no mAP of the training part.
    assert {name for name in figures if name.startswith("curve")} == {
        "curve_train_loss",
        "curve_validation_map",
    }


def test_the_page_of_a_segmenter_has_its_masks(segmentation: Path) -> None:
    page = page_of(segmentation)
    heads = re.findall(r"<h2 id[^>]*>([^<]+)</h2>", page)
    assert heads[heads.index("Tests") :][:3] == ["Tests", "Masks", "Classes"]
    # Of the 60 labelled columns 15 are wrong; the alternative text says it, too.
    assert page.count("75 % of the pixels right") == 2 * 2 * 4
    assert page.count("33 % of the pixels are not labelled") == 2 * 4


def test_a_metric_that_the_test_part_cannot_have_is_no_column(detection: Path) -> None:
    head = (detection / "report" / "results.md").read_text(encoding="utf-8").splitlines()[0]
    assert "mAP medium" not in head
    assert "mAP small, %" in head
    assert "mAP medium is not defined here" in page_of(detection)


def test_the_area_under_a_curve_is_the_average_precision_of_the_record(detection: Path) -> None:
    rows = rows_of(detection, "precision_recall")
    for label, seed, run in read_study(detection).runs():
        for iou, metric in (("0.5", "map50"), ("0.75", "map75")):
            of_run = (label, str(seed), iou)
            curve = [float(row["precision"]) for row in rows if tuple(row.values())[:3] == of_run]
            assert len(curve) == 101
            assert np.mean(curve) == pytest.approx(getattr(run.test, metric))


def test_the_confusion_of_a_detector_has_missed_boxes_and_boxes_of_nothing(detection: Path) -> None:
    images = read_study(detection).study.data.test
    found = {
        (row["true"], row["predicted"]): int(row["count"])
        for row in rows_of(detection, "confusion")
        if (row["attention"], row["seed"]) == ("se", "1")
    }
    cell, platelet, other = NAMES
    assert found == {
        (cell, cell): images,
        (platelet, other): images,
        (other, "background"): images,
        ("background", platelet): images,
    }


def test_boxes_are_drawn_where_they_are_and_dashed_if_they_are_wrong(detection: Path) -> None:
    assert page_of(detection).count("1 right, 2 wrong, 2 missed") == 2 * 2 * 4
    records = read_study(detection)
    drawn = draw_samples(records, detection / "report")
    assert drawn is not None
    assert [tile.heading for tile in drawn.sheets[0].tiles] == ["truth", "baseline", "se"]
    assert [name for name, _ in drawn.legend] == NAMES
    truth, found = (np.asarray(Image.open(drawn.sheets[0].tiles[place].file)).astype(int) for place in (0, 1))
    factor = truth.shape[0] // 60
    blue = np.array([0x2F, 0x7E, 0xD8])

    def share(image: np.ndarray, row: int, columns: slice) -> float:
        near = np.abs(image[row, columns] - blue).max(axis=1) < 60
        return float(near.mean())

    # The upper side of the first box, x from 5 to 30 and y 5 of 60; the found one is a pixel away.
    assert share(truth, 5 * factor, slice(6 * factor, 29 * factor)) > 0.95
    assert share(found, 6 * factor, slice(7 * factor, 30 * factor)) > 0.95
    green = np.array([0x15, 0x93, 0x6A])  # of the third class, for the second box: wrong
    line = found[21 * factor, 42 * factor : 70 * factor]
    assert 0.3 < (np.abs(line - green).max(axis=1) < 60).mean() < 0.8


def test_the_legend_has_colours_and_says_what_is_not_labelled(segmentation: Path) -> None:
    drawn = draw_samples(read_study(segmentation), segmentation / "report")
    assert drawn is not None
    assert [name for name, _ in drawn.legend] == [*NAMES[:2], "not labelled (hatched)"]
    assert [tile.heading for tile in drawn.sheets[0].tiles] == ["image", "truth", "baseline", "se"]


def test_a_study_that_kept_nothing_has_a_page_without_pictures(tmp_path: Path) -> None:
    folder = write_dense_study(tmp_path, DETECTION, SHIFTS, seeds=2)
    build_report(folder)
    page = page_of(folder)
    assert 'id="samples"' not in page
    assert 'id="precision"' in page
    assert not (folder / "report" / "confusion.csv").exists()
    assert not (folder / TRUTH).exists()


def test_pictures_of_an_earlier_report_are_deleted_and_damaged_ones_skipped(tmp_path: Path) -> None:
    folder = write_dense_study(tmp_path, SEGMENTATION, SHIFTS, seeds=2)
    add_samples(folder)
    build_report(folder)
    pictures = folder / "report" / PICTURES
    assert len([*pictures.iterdir()]) == 4 * 4
    first = sorted((folder / SAMPLES).glob("*.mask.png"))[0]
    first.write_bytes(first.read_bytes()[:40])
    build_report(folder)
    assert len([*pictures.iterdir()]) == 3 * 4


def test_the_json_has_the_task(detection: Path) -> None:
    content = build_report(detection).to_json()
    assert content["study"]["task"]["name"] == "detection"
    assert content["guessing"] is None
    assert content["rows"][0]["map_medium"]["mean"] is None
    json.dumps(content, allow_nan=False)


def test_a_detector_that_finds_next_to_nothing_is_said_to_have_learned_nothing(tmp_path: Path) -> None:
    folder = write_dense_study(tmp_path, DETECTION, SHIFTS, seeds=2)
    learned = "The baseline is finding next to nothing"
    assert not any(sentence.startswith(learned) for sentence in summarise(read_study(folder)).verdict)
    for path in folder.glob("runs/*/result.json"):
        test = json.loads(path.read_text(encoding="utf-8"))["test"]
        edit_json(path, test=test | {"map": 0.002, "map50": 0.004, "map75": 0.0})
    verdict = summarise(read_study(folder)).verdict
    assert any(sentence.startswith(f"{learned}, with an mAP50 of 0.40 %.") for sentence in verdict)
