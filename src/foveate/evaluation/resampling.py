"""Metrics of a classification on draws of its test images with replacement, and the pigeonhole bootstrap.

One draw of the images serves all runs: what it does to all of them alike cancels in differences. Every metric
here is a function of sums over groups of images, so that draws cost a few products with sparse matrices.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse, stats

from foveate.records.scores import CALIBRATION_BINS, ImageScores

__all__ = ["DRAWS", "draw_images", "drawn_metrics", "pigeonhole_interval"]

DRAWS = 2000
AT_ONCE = 2**19
"""Counts that are held at a time, of four bytes each: what fits a cache is ten times as fast."""
SEED = 1128


def draw_images(images: int, draws: int = DRAWS) -> Iterator[np.ndarray]:
    """Yield how often each of N images is in each draw of N images with replacement, (N, d) in float32.

    The arrays have `draws` columns in all, which are the same ones each time.
    """
    random, left = np.random.default_rng(SEED), draws
    while left:
        some = min(left, max(AT_ONCE // images, 1))
        chosen = random.integers(0, images, size=(images, some))
        places = some * chosen + np.arange(some)
        yield np.bincount(places.ravel(), minlength=images * some).reshape(images, some).astype(np.float32)
        left -= some


def drawn_metrics(
    runs: Sequence[ImageScores], classes: int, draws: int = DRAWS
) -> list[dict[str, np.ndarray]]:
    """Return the metrics of each run on the same draws of the images: by name, (draws,).

    They are accuracy, loss and ece, the expected calibration error over 15 bins, and, where the classes of
    the images are known, precision, recall and F1: macro averages over the classes that a draw has.
    """
    label = next((run.label for run in runs if run.label is not None), None)
    sums = [_Sums(run, label, classes) for run in runs]
    of_class = None if label is None else _by_group(label, np.ones(len(label)), classes)
    parts = []
    for counts in draw_images(len(runs[0].correct), draws):
        there = None if of_class is None else of_class @ counts
        parts.append([one.metrics(counts, there) for one in sums])
    return [
        {name: np.concatenate([part[place][name] for part in parts]) for name in parts[0][place]}
        for place in range(len(runs))
    ]


class _Sums:
    """The sums over images that the metrics of one run are made of, as matrices (groups, N)."""

    def __init__(self, run: ImageScores, label: np.ndarray | None, classes: int) -> None:
        images = len(run.correct)
        self._images = images
        # One sparse row each: BLAS on two rows waits for its threads most of the time.
        self._values = sparse.csr_matrix(np.stack([run.correct, run.loss]).astype(np.float32))
        confidence = run.confidence.astype(np.float32)
        bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
        self._gaps = _by_group(bins, confidence - run.correct, CALIBRATION_BINS)
        if label is not None:
            self._right = _by_group(label, run.correct, classes)
            self._answered = _by_group(run.predicted, np.ones(images), classes)

    def metrics(self, counts: np.ndarray, there: np.ndarray | None) -> dict[str, np.ndarray]:
        """Return the metrics on draws; `there` are the images of each class in each draw, if known."""
        accuracy, loss = self._values @ counts / self._images
        found = {"accuracy": accuracy, "loss": loss}
        found["ece"] = np.abs(self._gaps @ counts).sum(axis=0) / self._images
        if there is None:
            return found
        right, answered = self._right @ counts, self._answered @ counts
        is_there = there > 0
        for name, of in (("precision", answered), ("recall", there), ("f1", (answered + there) / 2)):
            shares = np.divide(right, of, out=np.zeros_like(right), where=is_there & (of > 0))
            found[name] = shares.sum(axis=0) / is_there.sum(axis=0)
        return found


def _by_group(group: np.ndarray, values: np.ndarray, groups: int) -> sparse.csr_matrix:
    places = group.astype(np.int64), np.arange(len(group))
    return sparse.csr_matrix((values.astype(np.float32), places), shape=(groups, len(group)))


def pigeonhole_interval(draws: np.ndarray, mean: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of a mean over seeds by the pigeonhole bootstrap of seeds and images.

    Owen and Eckles (Ann. Appl. Stat. 6, 2012): seeds and images are drawn with replacement, each by
    themselves. Its variance counts what belongs to single pairs of seed and image three times, and so is
    cautious; its percentiles are too narrow for few seeds, so the interval is mean ± t · s, where s is the
    standard deviation of the draws, and t has n - 1 degrees of freedom.

    Args:
        draws: the differences (D, n) of each of n seeds on each of D draws of the images.
        mean: the difference on the images and seeds as they are.
    """
    many, n = draws.shape
    weights = np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), size=many)
    std = float((draws * weights).sum(axis=1).std(ddof=1)) / n
    half = float(stats.t.isf((1 - level) / 2, n - 1)) * std
    return (mean - half, mean + half) if math.isfinite(half) else (mean, mean)
