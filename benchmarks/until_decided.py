"""Simulate whole studies of `--until-decided`, and count those with any wrong decision.

Mechanisms share the runs of one baseline, so that their comparisons depend on each other. A mechanism that is
decided stops training. "Better" or "worse" is wrong where there is no difference, or where it goes the other
way; "equivalent" is wrong where the difference is as large as the margin. A share over 5 % is a fault, up to
the error of the simulation, which is printed.

    python benchmarks/until_decided.py [--studies 20000] [--mechanisms 3]
"""

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.deciding import BETTER, EQUIVALENT, OPEN, WORSE, Boundary, decide_all, make_boundary
from foveate.evaluation.sequential import SPENDING, Spending
from foveate.evaluation.significance import ALPHA
from foveate.files import write_json

Floats = NDArray[np.float64]

MARGIN = 1.0
"""All scores are in margins."""
FIRST, LARGEST = (2, 3, 5), (10, 20)
IMAGES = 1000
POPULATIONS = ("these-images", "new-images")


@dataclass(frozen=True)
class World:
    """What is true in a simulated study: the differences from the baseline, and the spreads.

    Attributes:
        name: what the table calls it.
        differences: true ones, by mechanism.
        spreads: standard deviations between seeds, by mechanism; that of the baseline is the first.
        images: standard deviation of a score from the choice of the images, in those of the seeds.
        step: scores are rounded to it, as shares of few images are; 0: they are not.
    """

    name: str
    differences: tuple[float, ...]
    spreads: tuple[float, ...]
    images: float = 0.0
    step: float = 0.0


def worlds(mechanisms: int, population: str) -> list[World]:
    """No difference, all at the margin, and mixtures; equal and unequal spreads; images of any share."""
    at_margin = [MARGIN * (-1) ** number for number in range(mechanisms)]
    truths = {
        "no difference": [0.0] * mechanisms,
        "all at the margin": at_margin,
        "none or at the margin": [value * (number % 2) for number, value in enumerate(at_margin)],
        "a tenth of the margin": [0.1 * MARGIN] * mechanisms,
    }
    spreads = {f"spread {spread}": [spread] * mechanisms for spread in (0.2, 0.6)}
    spreads["unequal spreads"] = [0.1 * 3.0 ** (number % 4) for number in range(mechanisms)]
    shares = (0.0,) if population == "these-images" else (0.03, 0.1, 0.3, 1.0)
    found = [
        World(f"{truth}, {name}" + f", images {share}" * (share > 0), tuple(values), (own[0], *own), share)
        for share in shares
        for truth, values in truths.items()
        for name, own in spreads.items()
    ]
    rounded = World("no difference, rounded", (0.0,) * mechanisms, (0.6,) * (mechanisms + 1), step=0.25)
    return [*found, rounded]


@dataclass(frozen=True)
class Drawn:
    """Simulated studies: differences (mechanisms, studies, seeds), image variances (mechanisms, studies)."""

    differences: Floats
    image_variances: Floats


def draw(world: World, studies: int, seeds: int, random: np.random.Generator) -> Drawn:
    """Draw the runs of studies; all mechanisms are compared with the same runs of the baseline."""
    spreads = np.array(world.spreads)[:, None, None]
    scores = spreads * random.standard_normal((len(spreads), studies, seeds))
    scores += world.images * spreads * random.standard_normal((len(spreads), studies, 1))
    scores[1:] += np.array(world.differences)[:, None, None]
    if world.step:
        scores = np.round(scores / world.step) * world.step
    true = world.images**2 * (spreads[1:] ** 2 + spreads[0] ** 2)[:, :, 0]
    estimated = random.chisquare(IMAGES - 1, (len(true), studies)) / (IMAGES - 1)
    return Drawn(scores[1:] - scores[0], true * estimated)


def is_wrong(outcomes: NDArray[np.int8], true: float) -> NDArray[np.bool_]:
    """Return which decisions of a comparison are wrong."""
    wrong = np.zeros(len(outcomes), dtype=bool)
    if true <= 0:
        wrong |= outcomes == BETTER
    if true >= 0:
        wrong |= outcomes == WORSE
    if abs(true) >= MARGIN:
        wrong |= outcomes == EQUIVALENT
    return wrong


def wrong_share(world: World, drawn: Drawn, boundary: Boundary) -> tuple[float, float]:
    """Return the share of studies with any wrong decision, and that of the comparisons that were decided."""
    found = [
        decide_all(differences, boundary, MARGIN, variance, IMAGES)
        for differences, variance in zip(drawn.differences, drawn.image_variances, strict=True)
    ]
    wrong = [is_wrong(one.outcomes, true) for one, true in zip(found, world.differences, strict=True)]
    decided = np.mean([one.outcomes != OPEN for one in found])
    return float(np.any(wrong, axis=0).mean()), float(decided)


def unspent(boundary: Boundary, comparisons: int) -> Boundary:
    """Return the boundary of who tests at the whole level at each look."""
    own = (ALPHA / comparisons,) * len(boundary.looks)
    return Boundary(boundary.looks, own, own)


def simulate(
    studies: int,
    mechanisms: int,
    population: str,
    first: Sequence[int] = FIRST,
    largest: Sequence[int] = LARGEST,
    spendings: Sequence[Spending] = SPENDING,
) -> list[dict[str, Any]]:
    """Return the rows of the table: a boundary, its worst world, and the shares of wrong studies."""
    random = np.random.default_rng(0)
    cases = [(world, draw(world, studies, max(largest), random)) for world in worlds(mechanisms, population)]
    rows = []
    for spending, most, one in itertools.product(spendings, largest, first):
        boundary = make_boundary(one, most, ALPHA, mechanisms, spending)
        shares = {world.name: wrong_share(world, drawn, boundary) for world, drawn in cases}
        worst = max(shares, key=lambda name: shares[name][0])
        bare = wrong_share(*cases[1], unspent(boundary, mechanisms))  # no difference, a usual spread
        rows.append(
            {
                "population": population,
                "spending": spending,
                "first": one,
                "max_seeds": most,
                "wrong": shares[worst][0],
                "worst": worst,
                "decided": float(np.mean([decided for _, decided in shares.values()])),
                "unspent": bare[0],
            }
        )
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=20_000, help="of each world")
    parser.add_argument("--mechanisms", type=int, default=3, help="that share a baseline")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args(arguments)
    error = 2 * math.sqrt(ALPHA * (1 - ALPHA) / asked.studies)
    print(
        f"{asked.studies} studies of {asked.mechanisms} mechanisms in each world; a share of "
        f"{100 * ALPHA:.0f} % is known within {100 * error:.2f} points"
    )
    print(
        f"{'population':<13} {'spending':<15} first  max  wrong studies  "
        f"{'in the world':<50} decided  unspent"
    )
    rows = []
    for population in POPULATIONS:
        for row in simulate(asked.studies, asked.mechanisms, population):
            rows.append(row)
            print(
                f"{population:<13} {row['spending']:<15} {row['first']:>5} {row['max_seeds']:>4} "
                f"{100 * row['wrong']:>12.2f} %  {row['worst']:<50} {100 * row['decided']:>5.1f} %  "
                f"{100 * row['unspent']:>5.1f} %"
            )
    if asked.json:
        write_json(asked.json, {"studies": asked.studies, "mechanisms": asked.mechanisms, "rows": rows})
    return int(any(row["wrong"] > ALPHA + error for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
