"""Metrics on draws of images: against the metrics of the task on the drawn images, and the exact variance."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from foveate.evaluation.classification import classification_scores
from foveate.evaluation.resampling import draw_images, drawn_metrics, pigeonhole_interval
from foveate.tasks.classification import image_scores

CLASSES = ("a", "b", "c")
TORCH = torch.Generator().manual_seed(3)
LABELS = torch.randint(0, 3, (60,), generator=TORCH)
RUNS = [torch.randn(60, 3, generator=TORCH) + 2 * torch.eye(3)[LABELS] for _ in range(2)]


def test_metrics_of_a_draw_are_those_of_the_task_on_the_images_of_the_draw():
    scored = [image_scores("r", logits, LABELS) for logits in RUNS]
    found = drawn_metrics(scored, 3, draws=12)
    counts = np.concatenate(list(draw_images(60, 12)), axis=1)
    assert counts.shape == (60, 12)
    assert (counts.sum(axis=0) == 60).all()
    for logits, of_run in zip(RUNS, found, strict=True):
        for draw in range(12):
            chosen = torch.from_numpy(np.repeat(np.arange(60), counts[:, draw].astype(int)))
            expected = classification_scores(logits[chosen], LABELS[chosen], CLASSES)
            for name, values in of_run.items():
                assert values[draw] == pytest.approx(getattr(expected, name), abs=2e-3), name
    assert set(found[0]) == {"accuracy", "loss", "ece", "precision", "recall", "f1"}


def test_draws_are_the_same_each_time_and_differ_from_each_other():
    first, again = (np.concatenate(list(draw_images(50, 7)), axis=1) for _ in range(2))
    assert (first == again).all()
    assert all((a != b).any() for a, b in pairwise(first.T))


def test_the_variance_of_the_pigeonhole_bootstrap_is_that_of_owen_and_eckles():
    random, n, images = np.random.default_rng(4), 5, 200
    d = random.normal(0, 0.1, (n, 1)) + random.normal(0, 0.5, (1, images)) + random.normal(0, 1, (n, images))
    draws = np.concatenate([counts.T for counts in draw_images(images, 20_000)]) @ d.T / images
    low, high = pigeonhole_interval(draws, d.mean())
    a, b = d.mean(axis=1) - d.mean(), d.mean(axis=0) - d.mean()
    e = d - d.mean() - a[:, None] - b
    variance = (a**2).mean() / n + (b**2).mean() / images + (e**2).mean() / d.size
    assert (low + high) / 2 == pytest.approx(d.mean())
    assert (high - low) / 2 == pytest.approx(stats.t.isf(0.025, n - 1) * variance**0.5, rel=0.03)
