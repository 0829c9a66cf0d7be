"""Robustness of tiny detectors and segmenters that were really trained, on images of 64×64."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dense_sets import boxes_set, masks_set
from foveate.data.corruptions import corrupt
from foveate.errors import RequestError
from foveate.inspection.examine import Work
from foveate.inspection.find_trained import find_trained
from foveate.inspection.robustness.dense import DenseImages
from foveate.inspection.robustness.engine import robustness
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, open_images
from foveate.records.environment import Environment
from foveate.records.file_names import RESULT, RUNS
from foveate.records.files import read_record
from foveate.records.metric import DETECTION, SEGMENTATION
from foveate.records.read_run import read_run
from foveate.records.robustness import DenseRow, RobustnessRecord
from foveate.report.robustness.section import robustness_section
from foveate.report.robustness.summarise import summarise_robustness
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine, make_steps
from foveate.studies.spec.making import make_study

CPU = torch.device("cpu")
FEW = {"corruptions": ("contrast", "gaussian_noise"), "severities": (1, 5)}
DETECTOR = (
    "fasterrcnn(fpn_channels=16,representation_size=16,box_score_thresh=0.0,box_batch_size_per_image=32,"
    "rpn_post_nms_top_n_train=50,rpn_post_nms_top_n_test=20,rpn_pre_nms_top_n_train=100,"
    "rpn_pre_nms_top_n_test=50)"
)
STUDIES = {
    DETECTION.name: (boxes_set, {"detector": DETECTOR, "seeds": 1}),
    SEGMENTATION.name: (masks_set, {"segmenter": "unet", "seeds": 2}),
}


def finished(task: str, folder: Path) -> Path:
    """The baseline and SE, trained on a tiny set and measured under FEW; for reading."""
    make, settings = STUDIES[task]
    asked = {"data": str(make(folder / "set")), "backbone": "cifar_resnet8", "attention": "none,se"}
    spec = make_study(asked | settings | {"image_size": 64}, {"epochs": 1, "batch_size": 6})
    compare(spec, folder / "study", Machine("cpu"))
    measure(folder / "study", folder / "study")
    return folder / "study"


@pytest.fixture(scope="module")
def detection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(DETECTION.name, tmp_path_factory.mktemp("detection"))


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(SEGMENTATION.name, tmp_path_factory.mktemp("segmentation"))


@pytest.fixture(scope="module", params=[DETECTION.name, SEGMENTATION.name])
def study(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def measure(
    study: Path, out: Path, trained: list[Trained] | None = None, data: Path | None = None, **settings
) -> RobustnessRecord:
    work = Work(
        trained or find_trained([str(study)]),
        out,
        CPU,
        "foveate robustness",
        Environment(),
        lambda *_: None,
    )
    others = OtherImages(data=None if data is None else str(data))
    return read_record(robustness(work, RobustnessSettings(**(FEW | settings)), others), RobustnessRecord)


@pytest.fixture
def record(study: Path) -> RobustnessRecord:
    return record_of(study)


def record_of(study: Path) -> RobustnessRecord:
    return read_record(study / "robustness.json", RobustnessRecord)


def test_every_network_is_measured_on_every_condition(study: Path, record: RobustnessRecord) -> None:
    conditions = [("clean", None), ("contrast", 1), ("contrast", 5)]
    conditions += [("gaussian_noise", 1), ("gaussian_noise", 5)]
    places = [(row.key.corruption, row.key.severity, row.key.name) for row in record.corruption_rows]
    trained = find_trained([str(study)])
    assert places == [(*condition, one.name) for condition in conditions for one in trained]
    assert {row.images for row in record.rows} == {8}
    assert record.data.short_sides == (64, 64)
    assert record.task.name == trained[0].task
    assert record.settings.batch_size == 6
    assert record.left_out == record.warnings == ()
    written = json.loads((study / "robustness.json").read_text(encoding="utf-8"))
    assert json.dumps(record.to_json()) == json.dumps(written)
    assert [*written][4:7] == ["environment", "task", "settings"]


def test_clean_images_score_as_in_the_run(study: Path, record: RobustnessRecord) -> None:
    clean = {row.key.name: row for row in record.corruption_rows if row.key.corruption == "clean"}
    for name, row in clean.items():
        tested = read_run(study / RUNS / name / RESULT, task=record.task).test
        for metric in record.task.metrics:
            expected = tested.value_if_any(metric)
            assert row.value(metric) == (None if expected is None else pytest.approx(expected, abs=1e-6))


def test_images_are_normalised_as_the_network_expects(segmentation: Path, tmp_path: Path) -> None:
    """Runs from pretrained weights have the mean and the deviation of the weights, not of their images."""
    one = find_trained([str(segmentation)])[0]
    given = replace(one, mean=(0.1, 0.2, 0.3), std=(0.9, 0.8, 0.7))
    rows = measure(segmentation, tmp_path, [given]).corruption_rows
    (clean,) = [row for row in rows if row.key.corruption == "clean"]
    assert one.spec is not None
    data = replace(open_images([one]), mean=given.mean, std=given.std)
    batches = [data.test.__getitems__(range(6)), data.test.__getitems__([6, 7])]
    steps = make_steps(one.task, one.spec.recipe, data)
    expected = steps.test(one.network(CPU), batches, device=CPU).scores
    assert clean.value(SEGMENTATION.primary) == pytest.approx(expected.miou, abs=1e-6)
    own = read_run(segmentation / RUNS / one.name / RESULT, task=SEGMENTATION).test
    assert expected.miou != pytest.approx(own.miou, abs=1e-4)


def test_corrupted_images_score_by_the_corrupted_pixels(segmentation: Path) -> None:
    """Contrast draws no random numbers: corrupted here again, and mIoU by hand from all pixels together."""
    record, one = record_of(segmentation), find_trained([str(segmentation)])[0]
    network, answers, truth = one.network(CPU), [], []
    for image, mask in zip(*open_images([one]).test.__getitems__(np.arange(8)), strict=True):
        corrupted = corrupt(image[None].float() / 255, "contrast", 1, torch.Generator())
        with torch.inference_mode():
            answers.append(network(one.normalise(corrupted)).argmax(1)[0].numpy())
        truth.append(mask.numpy())
    named, there = np.stack(answers), np.stack(truth)
    shares = [((named == k) & (there == k)).sum() / ((named == k) | (there == k)).sum() for k in range(3)]
    row = next(row for row in record.corruption_rows if (row.key.severity, row.key.name) == (1, one.name))
    assert row.key.corruption == "contrast"
    assert row.value(record.task.primary) == pytest.approx(np.mean(shares))


def test_what_was_measured_is_not_measured_again(
    study: Path, record: RobustnessRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(study / "robustness.json", tmp_path)
    monkeypatch.setattr(Trained, "network", lambda *_: pytest.fail("built again"))
    assert measure(study, tmp_path).rows == record.rows


def test_the_position_of_an_image_alone_decides_its_random_numbers(study: Path) -> None:
    data = open_images(find_trained([str(study)]))

    def corrupted(name: str = "gaussian_noise", severity: int = 5, **settings) -> list[torch.Tensor]:
        images = DenseImages(data, RobustnessSettings(**settings), CPU)
        return [image for batch, _ in images.batches(name, severity, []) for image in batch]

    whole = corrupted(batch_size=8)
    assert all(map(torch.equal, corrupted(batch_size=3), whole))
    assert all(map(torch.equal, corrupted(limit=2), (whole[0], whole[4])))
    noise = [image.float() - clean.float() for image, clean in zip(whole, corrupted("clean"), strict=True)]
    assert not torch.equal(noise[0], noise[1])
    assert not torch.equal(whole[0], corrupted(severity=4)[0])
    assert not torch.equal(whole[0], corrupted(seed=1)[0])


def test_the_section_speaks_of_the_metric(record: RobustnessRecord) -> None:
    metric, section = record.task.primary, robustness_section(record)
    said = " ".join(section.sentences)
    assert metric.title in said
    beside = {"detection": "map50", "segmentation": "pixel_accuracy"}[record.task.name]
    assert [figure.name for figure in section.figures] == [
        *(f"robustness_{name}" for name in (metric.name, beside, "corruptions"))
    ]
    titles = [column.title for column in section.tables[0].columns]
    assert titles[1:3] == [f"Clean {metric.title}, %", f"Corrupted {metric.title}, %"]
    assert "Kept, %" in titles
    others = next(table for table in section.tables if table.name == "robustness_metrics")
    assert {"detection": "mAP75, %", "segmentation": "Dice, %"}[record.task.name] in [
        column.title for column in others.columns
    ]
    assert "accuracy" not in said.lower().replace("pixel accuracy", "")
    assert {one.name for one in record.task.metrics} <= set(section.numbers["robustness"][0])
    assert section.summary["metric"] == metric.name
    assert metric.name in section.summary["by_severity"][0]
    assert not {"mce", "relative_mce"} & set(section.summary["rows"][0])
    conditions = section.tables[-1]
    assert "Tiny-ImageNet-C was made with, for images whose short side is 64 px" in conditions.columns[2].note
    kept = {"detection": "Boxes stay", "segmentation": "Masks stay"}[record.task.name]
    assert conditions.columns[1].note.startswith(kept)


def test_performance_under_corruption_is_a_mean_paired_by_seed(segmentation: Path) -> None:
    record = record_of(segmentation)
    summary, metric = summarise_robustness(record), record.task.primary
    runs = {one.name: (one.label, one.seed) for one in record.networks}
    scores: dict[tuple[str, int], list[float]] = {}
    clean = {}
    for row in record.corruption_rows:
        if row.key.corruption == "clean":
            clean[runs[row.key.name]] = row.value(metric)
        else:
            scores.setdefault(runs[row.key.name], []).append(row.value(metric))
    means = {run: np.mean(found) for run, found in scores.items()}
    for row in summary.rows:
        expected = [means[row.attention, seed] / clean[row.attention, seed] for seed in (0, 1)]
        assert sorted(row.rpc.values) == pytest.approx(sorted(expected))
        assert row.mce.is_empty
    (test,) = summary.tests
    assert test.test.n == 2
    assert test.test.difference == pytest.approx(
        np.mean([means["se", seed] - means["none", seed] for seed in (0, 1)])
    )


class NoNumber(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 3, *images.shape[2:]), float("nan"))


def test_one_bad_network_does_not_stop_the_others(segmentation: Path, tmp_path: Path) -> None:
    good, bad, *_ = find_trained([str(segmentation)])
    bad = replace(bad, build=NoNumber)
    found = measure(segmentation, tmp_path, trained=[good, bad], corruptions=("contrast",), severities=(1,))
    assert found.unmeasured == [bad.name]
    assert found.left_out == (f"{bad.name} ({bad.label}), from clean images on: its answers are not finite.",)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"attacks": ("fgsm",)}, "--attacks is for classification, and these networks are for"),
        ({"prepared": Path("CIFAR-10-C")}, "--prepared is for classification, and these networks are for"),
    ],
)
def test_what_is_for_classification_is_refused(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict, words: str
) -> None:
    monkeypatch.setattr("foveate.inspection.robustness.engine.check_toolbox", lambda: None)
    with pytest.raises(RequestError, match=words):
        measure(study, tmp_path, **settings)
    assert not (tmp_path / "robustness.json").exists()


def changed_set(folder: Path, change: Callable[[Path, dict], None]) -> Path:
    """The set with boxes after a change of its test part: of its folder, and of the content of val.json."""
    path = boxes_set(folder) / "val.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(folder / "val", content)
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_images_of_other_sizes_are_measured_and_bad_ones_refused(detection: Path, tmp_path: Path) -> None:
    def resized(width: int, height: int) -> Callable[[Path, dict], None]:
        def change(images: Path, content: dict) -> None:
            Image.new("RGB", (width, height), (200, 30, 30)).save(images / "02.png")
            content["images"][1] |= {"width": width, "height": height}
            content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 2]

        return change

    def empty(_: Path, content: dict) -> None:
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 1]

    asked = {"corruptions": ("glass_blur",), "severities": (1,)}
    wide = measure(detection, tmp_path / "a", data=changed_set(tmp_path / "wide", resized(100, 80)), **asked)
    assert wide.data.short_sides == (64, 80)
    assert all(isinstance(row, DenseRow) and row.images == 8 for row in wide.rows)
    with pytest.raises(RequestError, match=r"at least 8 pixels a side, and .*02\.png has 6"):
        measure(detection, tmp_path / "b", data=changed_set(tmp_path / "low", resized(64, 6)), **asked)
    with pytest.raises(RequestError, match="no box is annotated in any of the 1 test images"):
        measure(detection, tmp_path / "c", data=changed_set(tmp_path / "empty", empty), limit=1, **asked)
