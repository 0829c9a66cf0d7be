"""The steps of a segmentation: losses by hand, evaluation of whole images, confusion matrices."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dense_sets import masks_set
from foveate.data.dense.dataset import DenseData, open_masks
from foveate.data.dense.masks import read_masks
from foveate.errors import RequestError
from foveate.records.segmentation_scores import read_segmentation_scores
from foveate.tasks import TaskSettings, find_task
from foveate.tasks.processes import ALONE
from foveate.tasks.segmentation import balanced_weights, segmentation_loss

IGNORED = 255


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DenseData:
    return open_masks(read_masks(masks_set(tmp_path_factory.mktemp("sets") / "masks")))


class ByColour(nn.Module):
    """Says red or blue where a pixel is so, else background: right nearly everywhere."""

    def forward(self, images: Tensor) -> Tensor:
        red, green, blue = images.unbind(1)
        return torch.stack([green, red - 0.5, blue - 0.5], dim=1)


def test_cross_entropy_is_the_mean_over_labelled_pixels() -> None:
    logits, targets = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    targets[0, :2] = IGNORED
    expected = F.cross_entropy(logits, targets, ignore_index=IGNORED)
    torch.testing.assert_close(segmentation_loss(logits, targets, "cross_entropy"), expected)
    weights = torch.tensor([0.2, 1.0, 3.0])
    expected = F.cross_entropy(logits, targets, weights, ignore_index=IGNORED)
    torch.testing.assert_close(segmentation_loss(logits, targets, "cross_entropy", weights), expected)


def test_a_batch_without_labels_has_no_loss_and_no_gradient() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 4, 4), IGNORED), "both")
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert torch.count_nonzero(logits.grad) == 0


def test_dice_is_one_minus_the_overlap_of_the_classes_that_are_there() -> None:
    logits, targets = torch.randn(2, 3, 6, 6), torch.randint(0, 2, (2, 6, 6))  # the third class is absent
    targets[1, 0] = IGNORED
    p = logits.softmax(1).movedim(1, 0).flatten(1)[:, targets.flatten() != IGNORED]
    there = targets.flatten()[targets.flatten() != IGNORED]
    parts = []
    for label in (0, 1):
        truth = (there == label).float()
        parts.append(1 - 2 * (p[label] * truth).sum() / (p[label].sum() + truth.sum()))
    expected = torch.stack([*parts, torch.zeros(())]).mean()  # smp counts an absent class as right
    torch.testing.assert_close(segmentation_loss(logits, targets, "dice"), expected, rtol=1e-4, atol=1e-4)
    both = segmentation_loss(logits, targets, "both") - segmentation_loss(logits, targets, "cross_entropy")
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-4)


def test_balanced_weights_are_inverse_to_the_pixels(data: DenseData) -> None:
    counts = np.zeros(3)
    for mask in data.train.__getitems__(range(24))[1]:
        counts += np.bincount(mask.numpy().ravel(), minlength=3)
    weights = balanced_weights(data)
    assert weights.mean().item() == pytest.approx(1)
    assert (weights.numpy() * counts).std() == pytest.approx(0, abs=1e-2 * counts.mean())


@pytest.mark.parametrize("key", ["loss", "class_weights"])
def test_unknown_settings_are_refused(key: str, data: DenseData) -> None:
    with pytest.raises(RequestError, match=f"{key} = much"):
        find_task("segmentation").steps(TaskSettings(**{key: "much"}), data)


def test_whole_images_are_tested_at_their_own_size(data: DenseData, tmp_path: Path) -> None:
    steps = find_task("segmentation").steps(TaskSettings(), data)
    batches = [data.test.__getitems__([0, 1, 2]), data.test.__getitems__([3])]
    # Images of several sizes: the padding must not count.
    images, masks = batches[0]
    batches[0] = ([images[0][:, :50, :], *images[1:]], [masks[0][:50, :], *masks[1:]])
    result = steps.test(ByColour(), batches, device=torch.device("cpu"))
    confusion = np.zeros((3, 3), dtype=int)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.mean, data.std))
    for image, mask in [pair for batch in batches for pair in zip(*batch, strict=True)]:
        said = ByColour()(((image / 255 - mean) / std)[None])[0].argmax(0)
        np.add.at(confusion, (mask.numpy().astype(int), said.numpy()), 1)
    assert result.images == 4
    assert np.array(result.scores.confusion).tolist() == confusion.tolist()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    assert result.scores.miou == pytest.approx((confusion.diagonal() / union).mean())
    assert result.scores.loss is not None
    assert math.isfinite(result.scores.loss)
    result.keep(tmp_path, "abc")
    kept = read_segmentation_scores(tmp_path)
    assert kept is not None
    assert (kept.run, kept.images) == ("abc", 4)
    assert kept.confusion().tolist() == confusion.tolist()


def test_the_tally_of_batches_is_the_metric_of_all(data: DenseData) -> None:
    steps, network = find_task("segmentation").steps(TaskSettings(), data), ByColour()
    tally = steps.tally()
    assert tally.value(ALONE) is None
    for indices in ([0, 1, 2], [3, 4]):
        step = steps.evaluation_step(network, data.test.__getitems__(indices))
        tally.add(step.outputs, step.targets)
    expected = steps.test(network, [data.test.__getitems__(range(5))], device=torch.device("cpu"))
    assert tally.value(ALONE) == pytest.approx(expected.scores.miou)


def test_training_sees_crops_of_labelled_pixels(data: DenseData) -> None:
    steps = find_task("segmentation").steps(TaskSettings(augmentation=("scale", "crop", "flip")), data)
    seen: list[torch.Size] = []

    class Seen(ByColour):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images.shape)
            return super().forward(images)

    generator = torch.Generator().manual_seed(0)
    step = steps.training_step(Seen(), data.train.__getitems__([0, 1, 2, 3]), generator)
    assert seen == [(4, 3, 64, 64)]
    assert step.images == 4
    assert step.loss is not None
    assert step.loss.isfinite()
