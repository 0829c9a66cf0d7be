"""Simulate whole studies of `--until-decided`, and count those with any wrong decision.

Mechanisms share the runs of one baseline, so that their comparisons depend on each other. A mechanism that is
decided stops training. "Better" or "worse" is wrong where there is no difference, or where it goes the other
way; "equivalent" is wrong where the difference is as large as the margin. A share over 5 % is a fault, up to
the error of the simulation, which is printed.

    python benchmarks/until_decided.py [--studies 20000] [--mechanisms 3]
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.evaluation.deciding import BETTER, EQUIVALENT, WORSE, Boundary, decide_all, make_boundary
from foveate.evaluation.sequential import SPENDING, Spending
from foveate.evaluation.significance import ALPHA
from foveate.files import write_json

Floats = NDArray[np.float64]

MARGIN = 1.0
"""All scores are in margins."""
FIRST, LARGEST = (2, 3, 5), (10, 20)


@dataclass(frozen=True)
class World:
    """What is true in a simulated study: the differences from the baseline, and the spreads.

    Attributes:
        name: what the table calls it.
        differences: true ones, by mechanism.
        spreads: standard deviations between seeds, by mechanism; that of the baseline is the first.
        images: scores are shares of so many images, so that they are rounded; None: they are not.
    """

    name: str
    differences: tuple[float, ...]
    spreads: tuple[float, ...]
    images: int | None = None


def worlds(mechanisms: int) -> list[World]:
    """No difference, all at the margin, all just apart, and mixtures; small, large and unequal spreads."""
    at_margin = [MARGIN * (-1) ** number for number in range(mechanisms)]
    truths = {
        "no difference": [0.0] * mechanisms,
        "all at the margin": at_margin,
        "none or at the margin": [value * (number % 2) for number, value in enumerate(at_margin)],
        "a tenth of the margin": [0.1 * MARGIN] * mechanisms,
    }
    equal = {f"spread {spread}": [spread] * mechanisms for spread in (0.2, 0.5, 1.0)}
    spreads = equal | {"unequal spreads": [0.1 * 3.0 ** (number % 4) for number in range(mechanisms)]}
    found = [
        World(f"{truth}, {name}", tuple(differences), (own[0], *own))
        for truth, differences in truths.items()
        for name, own in spreads.items()
    ]
    return [
        *found,
        World("no difference, spread 0.5, in images", (0.0,) * mechanisms, (0.5,) * (mechanisms + 1), 4),
    ]


def draw(world: World, studies: int, seeds: int, random: np.random.Generator) -> Floats:
    """Return the differences from the baseline, (mechanisms, studies, seeds)."""
    spreads = np.array(world.spreads)[:, None, None]
    scores = spreads * random.standard_normal((len(spreads), studies, seeds))
    scores[1:] += np.array(world.differences)[:, None, None]
    if world.images is not None:  # so many images make a margin
        scores = np.round(scores * world.images) / world.images
    return scores[1:] - scores[0]


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


def wrong_share(world: World, differences: Floats, boundary: Boundary) -> tuple[float, float]:
    """Return the share of studies with any wrong decision, and that of the comparisons that were decided."""
    found = [decide_all(drawn, boundary, MARGIN) for drawn in differences]
    wrong = [is_wrong(one.outcomes, true) for one, true in zip(found, world.differences, strict=True)]
    decided = np.mean([one.outcomes != 0 for one in found])
    return float(np.any(wrong, axis=0).mean()), float(decided)


def unspent(boundary: Boundary, comparisons: int) -> Boundary:
    """Return the boundary of who tests at the whole level at each look."""
    own = (ALPHA / comparisons,) * len(boundary.looks)
    return Boundary(boundary.looks, own, own)


def simulate(
    studies: int,
    mechanisms: int,
    first: Sequence[int],
    largest: Sequence[int],
    spendings: Sequence[Spending] = SPENDING,
) -> list[dict[str, Any]]:
    """Return the rows of the table: a boundary, its worst world, and the shares of wrong studies."""
    random = np.random.default_rng(0)
    drawn = [(world, draw(world, studies, max(largest), random)) for world in worlds(mechanisms)]
    rows = []
    for spending in spendings:
        for most in largest:
            for one in first:
                boundary = make_boundary(one, most, ALPHA, mechanisms, spending)
                shares = {world.name: wrong_share(world, values, boundary) for world, values in drawn}
                bare = unspent(boundary, mechanisms)
                worst = max(shares, key=lambda name: shares[name][0])
                rows.append(
                    {
                        "spending": spending,
                        "first": one,
                        "max_seeds": most,
                        "wrong": shares[worst][0],
                        "worst": worst,
                        "decided": float(np.mean([decided for _, decided in shares.values()])),
                        "unspent": max(wrong_share(world, values, bare)[0] for world, values in drawn),
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
    rows = simulate(asked.studies, asked.mechanisms, FIRST, LARGEST)
    error = 2 * math.sqrt(ALPHA * (1 - ALPHA) / asked.studies)
    print(
        f"{asked.studies} studies of {asked.mechanisms} mechanisms in each of "
        f"{len(worlds(asked.mechanisms))} worlds; a share of {100 * ALPHA:.0f} % is known within "
        f"{100 * error:.2f} points"
    )
    print(
        "spending         first  max  wrong studies  in the world                           decided  unspent"
    )
    for row in rows:
        print(
            f"{row['spending']:<16} {row['first']:>5} {row['max_seeds']:>4} {100 * row['wrong']:>12.2f} %"
            f"  {row['worst']:<38} {100 * row['decided']:>6.1f} %  {100 * row['unspent']:>6.1f} %"
        )
    if asked.json:
        write_json(asked.json, {"studies": asked.studies, "mechanisms": asked.mechanisms, "rows": rows})
    return int(any(row["wrong"] > ALPHA + error for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
