"""The critical values of the band over epochs (foveate/evaluation/band.py), and how often the band holds.

    python benchmarks/trajectory_band.py --table        # the literal of band.py: some CPU minutes
    python benchmarks/trajectory_band.py --coverage     # docs/statistics.md

Both are simulations with fixed seeds.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.band import MOST_POINTS, critical_value, smoothed_variances

Array = NDArray[np.float64]

CURVES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30)
CORRELATIONS = (0, 0.3, 0.6, 0.8, 0.9, 0.95)
SHARES = (0, 0.25, 0.5, 0.75, 0.9, 0.97)
SEEDS = (2, 3, 5, 10)


def autoregressive(rng: np.random.Generator, shape: tuple[int, int, int], correlation: float) -> Array:
    """Curves of variance 1, shape (studies, curves, points), correlated from each point to the next."""
    noise = rng.standard_normal(shape)
    for point in range(1, shape[2]):
        noise[..., point] *= np.sqrt(1 - correlation**2)
        noise[..., point] += correlation * noise[..., point - 1]
    return noise


def largest_t(curves: Array) -> Array:
    """Sup-t of each study whose true mean curve is zero; where there is no spread and no band, t counts 0."""
    errors = np.sqrt(smoothed_variances(curves.var(axis=1, ddof=1)) / curves.shape[1])
    means = np.abs(curves.mean(axis=1))
    return np.divide(means, errors, out=np.zeros_like(means), where=errors > 0).max(axis=1)


def quantiles(curves: int, studies: int) -> list[float]:
    """The critical values for 2 to 10 points: the largest 95 % quantile over the family."""
    rng = np.random.default_rng(curves)
    largest = np.zeros(MOST_POINTS - 1)
    for correlation in CORRELATIONS:
        noise = autoregressive(rng, (studies, curves, MOST_POINTS), correlation)
        of_seed = rng.standard_normal((studies, curves, 1))
        for share in SHARES:
            both = np.sqrt(share) * of_seed + np.sqrt(1 - share) * noise
            found = [np.quantile(largest_t(both[..., : n + 2]), 0.95) for n in range(len(largest))]
            largest = np.maximum(largest, found)
    return [float(value) for value in largest]


def kinds(epochs: int) -> Iterator[tuple[str, Callable[[np.random.Generator, int, int], Array]]]:
    """Differences over the epochs, of (studies, curves, epochs), whose true mean is zero."""
    falling = 0.02 + np.exp(-10 * np.arange(epochs) / epochs)
    line = np.linspace(-1, 1, epochs)

    def mixed(correlation: float, rng: np.random.Generator, studies: int, curves: int) -> Array:
        noise = autoregressive(rng, (studies, curves, epochs), correlation)
        return noise + 0.7 * rng.standard_normal((studies, curves, 1))

    def sloped(rng: np.random.Generator, studies: int, curves: int) -> Array:
        return mixed(0.5, rng, studies, curves) + 2 * rng.standard_normal((studies, curves, 1)) * line

    def heavy(rng: np.random.Generator, studies: int, curves: int) -> Array:
        return rng.standard_t(4, (studies, curves, epochs)) + 0.7 * rng.standard_normal((studies, curves, 1))

    def counted(rng: np.random.Generator, studies: int, curves: int) -> Array:
        share = np.clip(0.9 + 0.02 * rng.standard_normal((2, studies, curves, 1)), 0, 1)
        a, b = rng.binomial(200, np.broadcast_to(share, (2, studies, curves, epochs))) / 200
        return b - a

    yield "noise of each epoch, and a part of the seed", lambda *of: mixed(0, *of)
    yield "AR(1) 0.7, and a part of the seed", lambda *of: mixed(0.7, *of)
    yield "AR(1) 0.7, whose spread falls to a fiftieth", lambda *of: mixed(0.7, *of) * falling
    yield "a slope of each seed", sloped
    yield "heavy tails (Student's t, 4 degrees)", heavy
    yield "accuracies of 200 images", counted


def by_stretch(curves: Array) -> Array:
    """Means over at most ten stretches of the epochs."""
    parts = np.array_split(np.arange(curves.shape[2]), min(curves.shape[2], MOST_POINTS))
    return np.stack([curves[..., part].mean(axis=-1) for part in parts], axis=-1)


def coverage(studies: int) -> None:
    """Print how often the band holds everywhere, a row for each kind of curves and number of epochs."""
    print("| differences | epochs |", " | ".join(f"{seeds} seeds" for seeds in SEEDS), "|")
    print("| :-- | --: |", " | ".join("--:" for _ in SEEDS), "|")
    for epochs in (6, 30, 100):
        for place, (name, draw) in enumerate(kinds(epochs)):
            held = []
            for seeds in SEEDS:
                curves = by_stretch(draw(np.random.default_rng([place, epochs, seeds]), studies, seeds))
                largest = largest_t(curves)
                held.append(np.mean(largest <= critical_value(seeds, curves.shape[2])))
            print(
                f"| {name} | {epochs} |",
                " | ".join(f"{100 * share:.1f} %" for share in held),
                "|",
                flush=True,
            )


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="the critical values")
    parser.add_argument("--coverage", action="store_true", help="how often the band holds everywhere")
    parser.add_argument("--studies", type=int, default=20_000, help="simulated studies of each kind")
    asked = parser.parse_args()
    if asked.table:
        for curves in CURVES:
            row = ", ".join(f"{value:.2f}" for value in quantiles(curves, asked.studies))
            print(f"    {curves}: ({row}),", flush=True)
    if asked.coverage:
        coverage(asked.studies)


if __name__ == "__main__":
    main()
