"""What a study keeps of its test part: true boxes, and a few images for pictures."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

from dense_sets import boxes_set, masks_set
from foveate.data import load_data
from foveate.data.dense.dataset import DenseData
from foveate.records.detections import DETECTIONS
from foveate.records.masks import IGNORED
from foveate.records.samples import SAMPLES, read_mask_of, read_samples
from foveate.records.truth import TRUTH
from foveate.studies.engine.fitting import make_steps
from foveate.studies.engine.images import open_dense
from foveate.studies.engine.test_part import keep_test_part
from foveate.studies.spec.study import DataChoice
from foveate.training.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> DenseData:
    return open_dense("detection", DataChoice(source=str(boxes_set(tmp_path_factory.mktemp("boxes")))))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> DenseData:
    return open_dense("segmentation", DataChoice(source=str(masks_set(tmp_path_factory.mktemp("masks")))))


class Remembering(nn.Module):
    """Finds the boxes of the images of a set, in their order, a little shifted and some of another class."""

    def __init__(self, data: DenseData) -> None:
        super().__init__()
        self.targets = [data.test.targets(index) for index in range(len(data.test))]  # type: ignore[attr-defined]
        self.random = torch.Generator().manual_seed(1)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = []
        for _ in images:
            there = self.targets.pop(0)
            shift = 2 * torch.randn(there.boxes.shape, generator=self.random)
            other = torch.rand(len(there.labels), generator=self.random) < 0.2
            scores = torch.rand(len(there.labels), generator=self.random)
            labels = torch.where(other, 1 - there.labels, there.labels) + 1
            found.append({"boxes": there.boxes + shift, "labels": labels, "scores": scores})
        return found


def test_pycocotools_evaluates_a_run_with_the_files_of_its_study(boxes: DenseData, tmp_path: Path) -> None:
    keep_test_part(boxes, tmp_path)
    run = tmp_path / "runs" / "one"
    batches = [boxes.test.__getitems__([index]) for index in range(len(boxes.test))]
    steps = make_steps("detection", Recipe(augmentation=()), boxes)
    tested = steps.test(Remembering(boxes), batches, device=CPU)
    tested.keep(run, "one")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / TRUTH))
        evaluation = COCOeval(truth, truth.loadRes(str(run / DETECTIONS)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert 0.05 < evaluation.stats[0] < 0.95
    assert tested.scores.map == pytest.approx(evaluation.stats[0], abs=1e-6)
    assert tested.scores.map50 == pytest.approx(evaluation.stats[1], abs=1e-6)
    given = json.loads((tmp_path / TRUTH).read_text(encoding="utf-8"))
    assert [image["file_name"] for image in given["images"]] == [f"{index + 1:02}.png" for index in range(8)]
    assert {(image["height"], image["width"]) for image in given["images"]} == {(64, 64)}
    assert given["categories"] == [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]


def test_samples_are_spread_and_are_the_images(boxes: DenseData, tmp_path: Path) -> None:
    keep_test_part(boxes, tmp_path)
    samples = read_samples(tmp_path)
    assert [sample.image.position for sample in samples] == [1, 3, 5, 7]
    for sample in samples:
        image = boxes.test.load(sample.image.position)[0]  # type: ignore[attr-defined]
        assert np.array_equal(sample.pixels, image.permute(1, 2, 0).numpy())
        assert sample.mask is None


def test_what_is_there_is_kept_and_what_is_missing_is_written(boxes: DenseData, tmp_path: Path) -> None:
    keep_test_part(boxes, tmp_path)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    marked = first[tmp_path / TRUTH] + b"\n"
    (tmp_path / TRUTH).write_bytes(marked)
    (tmp_path / SAMPLES / "samples.json").unlink()  # as if it had been interrupted
    (tmp_path / SAMPLES / "000001.png").write_bytes(b"")
    keep_test_part(boxes, tmp_path)
    second = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert second == first | {tmp_path / TRUTH: marked}


def test_a_study_that_is_begun_again_has_the_boxes_of_now(boxes: DenseData, tmp_path: Path) -> None:
    keep_test_part(boxes, tmp_path)
    expected = (tmp_path / TRUTH).read_bytes()
    (tmp_path / TRUTH).write_bytes(b"[]")
    keep_test_part(boxes, tmp_path, anew=True)
    assert (tmp_path / TRUTH).read_bytes() == expected


class ByColour(nn.Module):
    """Says red or blue where a pixel is so, else background."""

    def forward(self, images: Tensor) -> Tensor:
        red, green, blue = images.unbind(1)
        return torch.stack([torch.full_like(green, 1.0), red - green, blue - green], dim=1)


def test_a_segmentation_keeps_true_and_predicted_masks(masks: DenseData, tmp_path: Path) -> None:
    keep_test_part(masks, tmp_path)
    assert not (tmp_path / TRUTH).exists()
    steps = make_steps("segmentation", Recipe(augmentation=()), masks)
    batches = [masks.test.__getitems__(part) for part in ([0, 1, 2], [3, 4, 5], [6, 7])]
    tested = steps.test(ByColour(), batches, device=CPU)
    tested.keep(tmp_path / "one", "one")
    samples = read_samples(tmp_path)
    assert [sample.image.position for sample in samples] == [1, 3, 5, 7]
    for sample in samples:
        _, true = masks.test.load(sample.image.position)  # type: ignore[attr-defined]
        assert sample.mask is not None
        assert np.array_equal(sample.mask, true.numpy())
        predicted = read_mask_of(tmp_path / "one", sample.image.position)
        assert predicted is not None
        assert predicted.shape == sample.mask.shape
        is_labelled = sample.mask != IGNORED
        assert (predicted == sample.mask)[is_labelled].mean() > 0.95
    assert len([*(tmp_path / "one" / SAMPLES).iterdir()]) == 4


def test_a_classification_keeps_neither(tmp_path: Path) -> None:
    keep_test_part(load_data("digits"), tmp_path)
    assert [*tmp_path.iterdir()] == []
