"""Prove the statistics of reports by simulated studies: coverage, family-wise errors and power.

A study has a baseline and mechanisms, n seeds and N test images. Network m with seed s answers image i right
if

    μ + shift_m + ease_i + own_mi + luck_ms + noise_msi > 0,

with independent normal terms: some images are easier, some suit a mechanism, some seeds are lucky. So every
true difference is known: for new seeds on new images, and for new seeds on the images of a study. The worlds
have the accuracy and the spread between seeds of kept studies (results/): CIFAR-10 with 10,000 test images,
where paired differences of three seeds have standard deviations from 0.16 to 1.57 points, and digits, where
five seeds on 359 images gave mean squares of seeds over those of the rest of 0.9 and 2.3.

    python benchmarks/simulated_coverage.py              # some ten minutes on two cores
    python benchmarks/simulated_coverage.py --studies 200
"""

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from foveate.evaluation.estimates import Estimate, over_seeds, over_seeds_and_images
from foveate.evaluation.improvement import chance_of_improvement
from foveate.evaluation.statistics import adjust_p_values

LEVEL, ALPHA = 0.95, 0.05
SEEDS, IMAGES = (3, 5, 10), (100, 1_000, 10_000)
MECHANISMS = 5


@dataclass(frozen=True)
class World:
    """Standard deviations of the terms, and the baseline's mean, in units of the noise."""

    name: str
    mean: float
    ease: float
    own: float
    luck: float

    def accuracy(self, shift: float = 0.0) -> float:
        """The chance that a new seed answers a new image right."""
        return float(
            special.ndtr((self.mean + shift) / math.sqrt(1 + self.ease**2 + self.own**2 + self.luck**2))
        )

    def shift_for(self, difference: float) -> float:
        """The shift that changes the accuracy by `difference`."""
        scale = math.sqrt(1 + self.ease**2 + self.own**2 + self.luck**2)
        return float(special.ndtri(self.accuracy() + difference)) * scale - self.mean


WORLDS = (
    World("CIFAR-10, quiet seeds", mean=0.70, ease=1.7, own=0.4, luck=0.03),
    World("CIFAR-10, loud seeds", mean=0.70, ease=1.7, own=0.4, luck=0.09),
    World("digits", mean=4.0, ease=1.6, own=0.3, luck=0.10),
)


@dataclass(frozen=True, eq=False)
class Study:
    """The answers of networks (m, n, N), and the true accuracy of each on these images (m,)."""

    right: np.ndarray
    on_these: np.ndarray

    def differences(self, mechanism: int) -> np.ndarray:
        """The differences of one mechanism to the baseline (n, N)."""
        return self.right[mechanism].astype(np.float32) - self.right[0]


def simulate(
    world: World,
    shifts: list[float],
    n: int,
    images: int,
    random: np.random.Generator,
    luck: list[float] | None = None,
) -> Study:
    """Draw a study with these shifts; `luck` are the spreads between seeds, by default those of the world."""
    ease = world.mean + random.normal(0, world.ease, images)
    right, on_these = [], []
    for place, shift in enumerate(shifts):
        spread = world.luck if luck is None else luck[place]
        latent = ease + shift + random.normal(0, world.own, images)
        lucky = random.normal(0, spread, (n, 1))
        noise = random.standard_normal((n, images), dtype=np.float32)
        right.append(latent + lucky + noise > 0)
        on_these.append(special.ndtr(latent / math.sqrt(1 + spread**2)).mean())
    return Study(np.stack(right), np.array(on_these))


def estimates(differences: np.ndarray) -> tuple[Estimate | None, Estimate | None]:
    """The estimates for these images and for new ones, as reports make them."""
    means = differences.mean(axis=1)
    std = float(means.std(ddof=1)) if np.ptp(means) > 0 else 0.0
    return over_seeds(list(means), std), over_seeds_and_images(differences) if std else None


def holds(estimate: Estimate, truth: float) -> bool:
    """Whether an interval holds the truth."""
    low, high = estimate.interval(level=LEVEL)
    return low <= truth <= high


def coverage(world: World, n: int, images: int, studies: int) -> dict[str, float]:
    """The share of studies whose intervals hold the truth, in per cent, among those that have intervals.

    A study in which all seeds have the same difference has none: of so few images, that happens by chance.
    """
    random = np.random.default_rng([n, images, len(world.name)])
    found = dict.fromkeys(("these images", "these, for new", "new images", "pigeonhole", "percentiles"), 0)
    none = 0
    for _ in range(studies):
        made = simulate(world, [0.0, 0.0], n, images, random)
        d = made.differences(1)
        these, new = estimates(d)
        if these is None or new is None:
            none += 1
            continue
        found["these images"] += holds(these, made.on_these[1] - made.on_these[0])
        found["these, for new"] += holds(these, 0.0)
        found["new images"] += holds(new, 0.0)
        error, mean = math.sqrt(pigeonhole_variance(d)), abs(float(d.mean()))
        found["pigeonhole"] += mean <= stats.t.isf((1 - LEVEL) / 2, n - 1) * error
        found["percentiles"] += mean <= stats.norm.isf((1 - LEVEL) / 2) * error
    shares = {name: 100 * float(count) / (studies - none) for name, count in found.items()}
    return shares | {"no interval": 100 * none / studies}


def pigeonhole_variance(d: np.ndarray) -> float:
    """The variance of the mean over all pigeonhole draws, which sampled draws estimate (Owen and Eckles)."""
    of_seeds, of_images, mean = d.mean(axis=1), d.mean(axis=0), d.mean()
    seeds, images = float(((of_seeds - mean) ** 2).mean()), float(((of_images - mean) ** 2).mean())
    both = float(((d - mean) ** 2).mean()) - seeds - images
    return seeds / d.shape[0] + images / d.shape[1] + both / d.size


def errors(world: World, n: int, images: int, studies: int) -> dict[str, float]:
    """The share of studies of five mechanisms with any false claim, adjusted by Holm, in per cent.

    For differences, no mechanism differs from the baseline; for equivalence and for a gain under the margin,
    every one is better by exactly the margin.
    """
    random = np.random.default_rng([n, images, 7])
    names = ("these images", "new images")
    found = {f"{kind}, {name}": 0 for kind in ("different", "equivalent", "gain") for name in names}
    margin = 0.01
    for _ in range(studies):
        for shift, kinds in ((0.0, ("different",)), (world.shift_for(margin), ("equivalent", "gain"))):
            made = simulate(world, [0.0, *[shift] * MECHANISMS], n, images, random)
            pairs = [estimates(made.differences(m)) for m in range(1, MECHANISMS + 1)]
            truth = made.on_these[1:] - made.on_these[0]
            for place, name in enumerate(names):
                ones = [pair[place] for pair in pairs]
                for kind in kinds:
                    p = []
                    for one, true in zip(ones, truth, strict=True):
                        centre = true if place == 0 else shift and margin
                        p.append(1.0 if one is None else _p(one, kind, float(centre)))
                    found[f"{kind}, {name}"] += min(adjust_p_values(p)) < ALPHA
    return {name: 100 * count / studies for name, count in found.items()}


def _p(estimate: Estimate, kind: str, truth: float) -> float:
    """The p value of a claim that is false: a difference from the truth, or one that is under it."""
    if kind == "different":
        return replace(estimate, difference=estimate.difference - truth).p_different
    return estimate.p_within(abs(truth)) if kind == "equivalent" else estimate.p_below(truth)


def power(world: World, n: int, images: int, studies: int, difference: float) -> dict[str, float]:
    """The share of studies that find a true difference, in per cent, at a level of 5 % without a family."""
    random = np.random.default_rng([n, images, 9])
    found = {"these images": 0, "new images": 0}
    for _ in range(studies):
        made = simulate(world, [0.0, world.shift_for(difference)], n, images, random)
        for name, one in zip(found, estimates(made.differences(1)), strict=True):
            found[name] += one is not None and one.p_different < ALPHA and one.difference > 0
    return {name: 100 * count / studies for name, count in found.items()}


def improvement(n: int, studies: int) -> float:
    """The share of studies whose interval of P(b beats a) holds the true chance, in per cent."""
    random, held = np.random.default_rng(n), 0
    for gains in random.normal(0.8, 1, (studies, n)):
        chance = chance_of_improvement(list(gains), float(gains.std(ddof=1)))
        held += chance is not None and chance.ci95[0] <= special.ndtr(0.8) <= chance.ci95[1]
    return 100 * held / studies


def moderated(spreads: list[float], n: int, studies: int) -> dict[str, float]:
    """What a t-test would do that borrows the spread of all mechanisms, in per cent.

    The variance of each mechanism's differences is drawn towards the common one, as limma does (Smyth, Stat.
    Appl. Genet. Mol. Biol. 3, 2004). All differences share the baseline, so their variances are correlated
    (1/4 for equal spreads): the degrees of freedom are at most those of their mean. No mechanism differs.
    """
    random, k, d = np.random.default_rng(n), len(spreads) - 1, n - 1
    y = random.normal(0, 1, (studies, n, k + 1)) * np.array(spreads)
    gains = y[:, :, 1:] - y[:, :, :1]
    mean, variance = gains.mean(axis=1), gains.var(axis=1, ddof=1)
    logs = np.log(variance) - special.digamma(d / 2) + math.log(d / 2)
    centre, excess = (
        logs.mean(axis=1, keepdims=True),
        logs.var(axis=1, ddof=1, keepdims=True) - special.polygamma(1, d / 2),
    )
    varies = excess > 0
    prior = np.where(varies, 2 * _inverse_trigamma(np.where(varies, excess, 1.0)), np.inf)
    half = np.where(varies, prior, 2.0) / 2
    common = np.where(
        varies, np.exp(centre + special.digamma(half) - np.log(half)), variance.mean(axis=1, keepdims=True)
    )
    weight = np.where(varies, 1 / (1 + d / prior), 1.0)
    drawn = weight * common + (1 - weight) * variance
    df = np.minimum(prior + d, d * k / (1 + (k - 1) / 4))
    p = {
        "plain": 2 * stats.t.sf(abs(mean) / np.sqrt(variance / n), d),
        "moderated": 2 * stats.t.sf(abs(mean) / np.sqrt(drawn / n), df),
    }
    found = {f"{name}, any": 100 * float((one.min(axis=1) < ALPHA / k).mean()) for name, one in p.items()}
    return found | {
        f"{name}, worst": 100 * float((one < ALPHA).mean(axis=0).max()) for name, one in p.items()
    }


def _inverse_trigamma(y: np.ndarray) -> np.ndarray:
    """Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(30):
        value = special.polygamma(1, x)
        x = x + value * (1 - value / y) / special.polygamma(2, x)
    return x


def worst_error(n: int, level: float) -> dict[str, float]:
    """How often a test at `level` errs at worst, over ratios of the two variances, in per cent.

    The variance of the seeds is estimated with n - 1 degrees of freedom, that of the images is known. The
    error is a mean over quantiles of that estimate.
    """
    chi = stats.chi2.ppf((np.arange(4_000) + 0.5) / 4_000, n - 1) / (n - 1)
    t, z = stats.t.isf(level / 2, n - 1), stats.norm.isf(level / 2)
    found = {"two quantiles": 0.0, "Satterthwaite": 0.0}
    for images in (0, 0.05, 0.2, 0.5, 1, 3, 10, 40):  # in units of the variance of the seeds
        both = chi + images
        reach = {
            "two quantiles": np.sqrt(t**2 * chi + z**2 * images),
            "Satterthwaite": stats.t.isf(level / 2, (n - 1) * (both / chi) ** 2) * np.sqrt(both),
        }
        for name, size in reach.items():
            error = 200 * float(special.ndtr(-size / math.sqrt(1 + images)).mean())
            found[name] = max(found[name], error)
    return found


def tables(studies: int) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Give every table: its title, its heads and its rows."""
    rows = []
    for world in WORLDS:
        for n in SEEDS:
            for images in IMAGES:
                found = coverage(world, n, images, studies)
                rows.append(
                    [world.name, str(n), f"{images:,}", *(f"{value:.1f}" for value in found.values())]
                )
    heads = ["world", "seeds", "images", *found]
    yield f"Coverage of 95 % intervals, %, {studies:,} studies each", heads, rows
    rows = []
    for world in WORLDS:
        for n in SEEDS:
            found = errors(world, n, 1_000, studies // 2)
            rows.append([world.name, str(n), "1,000", *(f"{value:.1f}" for value in found.values())])
    yield (
        f"Studies of {MECHANISMS} mechanisms with any false claim, %, {studies // 2:,} each",
        ["world", "seeds", "images", *found],
        rows,
    )
    rows = []
    for world in WORLDS:
        for n in SEEDS:
            for images in IMAGES:
                found = power(world, n, images, studies // 2, 0.01)
                rows.append(
                    [world.name, str(n), f"{images:,}", *(f"{value:.0f}" for value in found.values())]
                )
    yield "Power for a true difference of 1 point, %", ["world", "seeds", "images", *found], rows
    rows = [[str(n), f"{improvement(n, studies // 2):.1f}"] for n in SEEDS]
    yield "Coverage of the chance to be better with a new seed, %", ["seeds", "coverage"], rows
    rows = []
    for n in SEEDS:
        for level in (0.05, 0.01, 0.001):
            found = worst_error(n, level)
            rows.append([str(n), f"{100 * level:g}", *(f"{value:.2f}" for value in found.values())])
    yield "The worst error of a test on new images, %", ["seeds", "level", *found], rows
    rows = []
    cases = {
        "equal spreads": [1.0] * 6,
        "one mechanism three times as loud": [1.0, 3.0, 1.0, 1.0, 1.0, 1.0],
        "the baseline three times as loud": [3.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    }
    for name, spreads in cases.items():
        for n in SEEDS:
            found = moderated(spreads, n, 5 * studies)
            rows.append([name, str(n), *(f"{value:.1f}" for value in found.values())])
    yield (
        "A moderated t-test: studies with any false difference, and the error of the worst mechanism, %",
        ["spreads", "seeds", *found],
        rows,
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--studies", type=int, default=4_000, help="simulated studies for each row of coverage"
    )
    studies = parser.parse_args(arguments).studies
    for title, heads, rows in tables(studies):
        print(f"\n{title}\n")
        print(f"| {' | '.join(heads)} |\n| {' | '.join('--:' for _ in heads)} |")
        for row in rows:
            print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
