"""The steps of a detection: labels from 1 and crowds left out in training, mAP and kept files of a test."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dense_sets import boxes_set
from foveate.data.dense.boxes import read_boxes
from foveate.data.dense.dataset import DenseData, open_boxes
from foveate.data.dense.targets import BoxTargets
from foveate.records.detection_scores import read_detection_scores
from foveate.records.detections import DETECTIONS
from foveate.studies.spec.defaults import RECIPE_OF_TASK, TASKS
from foveate.tasks import TASKS as MADE
from foveate.tasks import TaskSettings, find_task
from foveate.tasks.processes import ALONE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DenseData:
    return open_boxes(read_boxes(boxes_set(tmp_path_factory.mktemp("sets") / "boxes")))


class Oracle(nn.Module):
    """Knows the boxes of the images that it is shown, which are given in their order; `wrong` moves them."""

    def __init__(self, targets: list[BoxTargets], wrong: float = 0.0) -> None:
        super().__init__()
        self.targets, self.wrong, self.at = targets, wrong, 0
        self.given: list[dict[str, Tensor]] = []

    def forward(self, images: list[Tensor], targets: Any = None) -> Any:
        if self.training:
            self.given += targets
            return {"a": torch.tensor(1.5, requires_grad=True), "b": torch.tensor(0.25)}
        found = self.targets[self.at : self.at + len(images)]
        self.at += len(images)
        return [
            {
                "boxes": one.boxes + self.wrong,
                "labels": one.labels + 1,
                "scores": torch.linspace(0.5, 0.9, len(one.labels)),
            }
            for one in found
        ]


def test_training_adds_the_losses_and_leaves_crowds_out(data: DenseData) -> None:
    images, targets = data.train.__getitems__([0, 1])
    crowd = targets[0]._replace(crowd=torch.ones(len(targets[0].labels), dtype=torch.bool))
    network = Oracle([]).train()
    steps = find_task("detection").steps(TaskSettings(), data)
    step = steps.training_step(network, (images, [crowd, targets[1]]), torch.Generator())
    assert step.loss is not None
    assert step.loss.item() == 1.75
    assert step.loss.requires_grad
    assert (step.outputs, step.images) == (None, 2)
    assert [len(one["boxes"]) for one in network.given] == [0, len(targets[1].labels)]
    assert torch.equal(network.given[1]["labels"], targets[1].labels + 1)


def test_what_is_right_has_an_map_of_one_and_is_kept(data: DenseData, tmp_path: Path) -> None:
    every = data.test.__getitems__(range(8))
    steps = find_task("detection").steps(TaskSettings(), data)
    batches = [data.test.__getitems__(range(5)), data.test.__getitems__([5, 6, 7])]
    result = steps.test(Oracle(every[1]), batches, device=torch.device("cpu"))
    assert result.images == 8
    assert result.scores.map == pytest.approx(1)
    assert [one.support for one in result.scores.per_class] == np.bincount(
        torch.cat([one.labels for one in every[1]]), minlength=2
    ).tolist()
    result.keep(tmp_path, "abc")
    scores = read_detection_scores(tmp_path)
    assert scores is not None
    assert (scores.run, scores.images) == ("abc", 8)
    kept = json.loads((tmp_path / DETECTIONS).read_text(encoding="utf-8"))
    assert len(kept) == sum(len(one.labels) for one in every[1])
    assert {one["image_id"] for one in kept} <= set(data.image_ids)
    assert {one["category_id"] for one in kept} <= {1, 2}
    first = every[1][0]
    order = torch.linspace(0.5, 0.9, len(first.labels)).argsort(descending=True)
    x0, y0, x1, y1 = first.boxes[order[0]].tolist()
    assert kept[0]["bbox"] == [x0, y0, x1 - x0, y1 - y0]


def test_the_tally_is_map_and_none_without_boxes(data: DenseData) -> None:
    steps = find_task("detection").steps(TaskSettings(), data)
    images, targets = data.test.__getitems__(range(8))
    tally = steps.tally()
    step = steps.evaluation_step(Oracle(targets, wrong=3.0).eval(), (images, targets))
    assert step.loss is None
    tally.add(step.outputs, step.targets)
    value = tally.value(ALONE)
    expected = steps.test(Oracle(targets, wrong=3.0), [(images, targets)], device=torch.device("cpu"))
    assert value == pytest.approx(expected.scores.map)
    assert 0 < value < 1
    empty = steps.tally()
    none = [one._replace(**{name: one._asdict()[name][:0] for name in one._fields}) for one in targets]
    empty.add(step.outputs, none)
    assert empty.value(ALONE) is None


def test_the_tasks_that_flags_name_are_those_that_there_are() -> None:
    assert set(TASKS) == set(MADE)
    assert set(RECIPE_OF_TASK) < set(TASKS)
