"""Scores of maps made by hand, whose values are known."""

import math

import pytest
import torch

from foveate.evaluation.attention_scores import (
    VIEWS,
    ClassConsistency,
    View,
    energies,
    focus_ratio,
    pointing_game,
    tolerance_of,
    view_consistency,
)
from foveate.evaluation.road import SHARES, impute, most_marked, road

# Four pixels of 1 in the object, two of 0.5 outside of it, on 4×4.
MAPS = torch.tensor([[[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0]]])
OBJECTS = torch.zeros(1, 4, 4, dtype=torch.bool)
OBJECTS[0, :2, :2] = True
NOTHING = torch.zeros(1, 4, 4)
# The package hands tensors to numpy functions.
beside_the_package = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")


def test_focus_ratio():
    assert focus_ratio(MAPS, OBJECTS).item() == pytest.approx(4 / 5)
    assert focus_ratio(torch.ones(1, 4, 4), OBJECTS).item() == pytest.approx(4 / 16)
    assert focus_ratio(NOTHING, OBJECTS).isnan()


def test_energies_outside_and_inside():
    outside, inside = energies(MAPS, OBJECTS)
    assert outside.item() == pytest.approx(1 / 12)
    assert inside.item() == pytest.approx(1.0)
    assert energies(MAPS, torch.ones(1, 4, 4, dtype=torch.bool))[0].isnan()
    assert torch.stack(energies(NOTHING, OBJECTS)).isnan().all()


def test_pointing_game_with_its_tolerance():
    maps = torch.zeros(1, 9, 9)
    maps[0, 4, 7] = 1.0
    objects = torch.zeros(1, 9, 9, dtype=torch.bool)
    objects[0, 1, 3] = True  # 3 up and 4 to the left: 5 pixels
    assert [pointing_game(maps, objects, tolerance).item() for tolerance in (0, 4, 5)] == [0, 0, 1]
    assert pointing_game(MAPS, OBJECTS, 0).item() == 1
    assert pointing_game(NOTHING, OBJECTS, 0).isnan()
    assert (tolerance_of(224, 224), tolerance_of(64, 64), tolerance_of(32, 48)) == (15, 4, 2)


@pytest.mark.parametrize(
    "view", [*VIEWS, View("both", mirrored=True, shift=0.25)], ids=lambda view: view.name
)
def test_a_view_is_undone(view):
    image = torch.rand(2, 3, 16, 16)
    seen = view.see(image)
    assert seen.shape == image.shape
    assert not torch.equal(seen, image)
    undone = view.undo(seen[:, 0]) / view.brightness
    torch.testing.assert_close(undone, view.seen(image[:, 0]))
    # A map that goes with the image is as consistent as can be.
    one = torch.ones(2)
    torch.testing.assert_close(view_consistency(image[:, 0], seen[:, 0], view), one)


def test_view_consistency_is_the_cosine_of_the_overlap():
    mirrored = VIEWS[0]
    a, b = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)
    a[0, 0, 0], b[0, 0, 1] = 1.0, 1.0
    assert view_consistency(a, b, mirrored).item() == pytest.approx(1.0)
    assert view_consistency(a, a, mirrored).item() == pytest.approx(0.0)
    b[0, 1, 1] = 1.0
    assert view_consistency(a, b, mirrored).item() == pytest.approx(1 / math.sqrt(2))
    assert view_consistency(a, torch.zeros(1, 2, 2), mirrored).isnan()


def test_class_consistency_is_the_mean_over_pairs():
    maps = torch.rand(7, 3, 3)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 0])
    expected = [
        torch.stack(
            [
                torch.cosine_similarity(a.flatten(), b.flatten(), dim=0)
                for i, a in enumerate(maps[labels == label])
                for b in maps[labels == label][i + 1 :]
            ]
        ).mean()
        for label in (0, 1)
    ]
    consistency = ClassConsistency()
    consistency.add(maps[:3], labels[:3])  # in batches
    consistency.add(maps[3:], labels[3:])
    consistency.add(torch.zeros(1, 3, 3), torch.tensor([1]))
    torch.testing.assert_close(torch.tensor(consistency.values()), torch.stack(expected))


@beside_the_package
def test_road_fills_gaps_as_the_package_does():
    metrics = pytest.importorskip("pytorch_grad_cam.metrics.road")
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 12, 9, generator=generator)
    maps = torch.rand(2, 12, 9, generator=generator)
    for share in SHARES:
        gaps = most_marked(maps, share, generator)
        filled = impute(images, gaps, torch.zeros_like(images))
        for image, gap, ours in zip(images, gaps, filled, strict=True):
            theirs = metrics.NoisyLinearImputer(noise=0)(image, (~gap).float())
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_noise_is_on_what_was_filled_alone():
    images, gaps = torch.ones(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    gaps[0, 1:3, 1:3] = True
    filled = impute(images, gaps, torch.full_like(images, 0.5))
    torch.testing.assert_close(filled, images + 0.5 * gaps[:, None])
    assert torch.equal(impute(images, torch.zeros_like(gaps), images), images)


def test_the_most_marked_are_exactly_their_share_with_ties_at_random():
    maps = torch.zeros(1, 10, 10)
    maps[0, 0, :5] = 1.0
    first, second = (most_marked(maps, 0.3, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    for marked in (first, second):
        assert marked.sum() == 30
        assert marked[0, 0, :5].all()
    assert not torch.equal(first, second)
    assert torch.equal(first, most_marked(maps, 0.3, torch.Generator().manual_seed(0)))


def predict(images: torch.Tensor) -> torch.Tensor:
    """Says class 1 as surely as the left half is bright."""
    bright = images[..., : images.shape[3] // 2].mean(dim=(1, 2, 3))
    return torch.stack([torch.zeros_like(bright), 4 * bright], dim=1)


def test_road_is_high_for_the_map_of_what_counts():
    images = torch.full((1, 1, 10, 10), -1.0)
    images[..., :5] = 1.0
    right = torch.linspace(1, 0, 10).expand(1, 10, 10)
    of = {
        name: road(predict, images, maps, torch.tensor([1]), torch.Generator().manual_seed(0)).item()
        for name, maps in {"right": right, "wrong": 1 - right, "even": torch.zeros(1, 10, 10)}.items()
    }
    assert of["right"] > 0.1
    assert of["wrong"] == pytest.approx(-of["right"], abs=0.02)
    assert abs(of["even"]) < 0.05


@beside_the_package
def test_road_agrees_with_the_package():
    metrics = pytest.importorskip("pytorch_grad_cam.metrics.road")
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    torch.manual_seed(0)
    images, maps = torch.randn(2, 1, 10, 10), torch.rand(2, 10, 10)
    network = torch.nn.Module()
    network.forward = predict
    theirs = metrics.ROADCombined(percentiles=[10, 30, 50, 70, 90])(
        images, maps.numpy(), [ClassifierOutputSoftmaxTarget(1)] * 2, network
    )
    ours = road(predict, images, maps, torch.tensor([1, 1]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours, torch.as_tensor(theirs), atol=5e-3, rtol=0)
