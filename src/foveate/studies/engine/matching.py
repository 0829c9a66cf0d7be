"""Plain backbones made wider or deeper until they are as dear as one with attention.

Parameters and multiply-adds are counted without memory and matched by bisection over the width, in steps of
1/10,000, or over the number of blocks; both grow with either. Latencies are measured, candidate and control
in turns, and the size is found between two that bracket it.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import nn

from foveate.errors import RequestError
from foveate.evaluation.cost import count_multiply_adds, count_parameters, measure_latencies
from foveate.records.design import Control, Growth, Measure
from foveate.records.labels import BASELINE
from foveate.studies.engine.network import build_network
from foveate.studies.spec.candidate import Candidate

__all__ = ["match_controls"]

DIGITS = 4
START = {"width": 10**DIGITS, "depth": 0}
"""The size of the backbone itself. A size is ten-thousandths of its width, or blocks more than it has."""
MOST = {"width": 8 * START["width"], "depth": 512}
"""How far is searched."""
TOLERANCE = 0.02
"""Of latencies: what a ratio of two measured in turns can be told to."""
MOST_MEASUREMENTS = 8
SECONDS, ROUNDS = 3.0, (21, 200)
"""Of one measurement of latency; the median ratio of 21 rounds is good to about a percent on a quiet CPU."""

Build = Callable[[Candidate], nn.Module]
Shapes = tuple[tuple[int, ...], ...]


def match_controls(
    backbone: str,
    candidates: Sequence[Candidate],
    by: Measure,
    *,
    classes: int,
    channels: int,
    image_size: int,
    device: torch.device,
    grow: Growth = "width",
) -> list[Control]:
    """Find for each candidate with attention the plain `backbone` made as dear by the measure `by`.

    The nearest there is, which `asked` and `reached` say: parameters, multiply-adds of one image, or the
    latency of one relative to the plain backbone's. A candidate has none where the nearest is the plain
    backbone itself: SimAM has no parameters. Equal controls have one label.

    Raises:
        RequestError: a backbone that cannot be made wider or deeper, or is not as dear as asked for within
            eight times the width or 512 blocks more.
    """
    shape = (1, channels, image_size, image_size)
    build = partial(build_network, backbone, classes=classes, channels=channels, image_size=image_size)
    plain = partial(_plain, grow)
    labels: dict[Shapes, str] = {_shapes(build, plain(START[grow])): BASELINE}
    cost_of_plain = cache(lambda size: _count(build, plain(size), by, shape))
    controls = []
    for candidate in candidates:
        if candidate.name == BASELINE:
            continue
        if by == "latency":
            size, asked, reached = _match_latency(build, candidate, grow, shape, device)
        else:
            asked = _count(build, candidate, by, shape)
            size = _match_count(cost_of_plain, asked, grow)
            reached = cost_of_plain(size)
        made = _shapes(build, plain(size))
        if made not in labels:
            labels[made] = _shortest(build, plain(size), made).label
        if labels[made] != BASELINE:
            controls.append(
                Control(label=labels[made], of=candidate.label, measure=by, asked=asked, reached=reached)
            )
    return controls


def _plain(grow: Growth, size: int) -> Candidate:
    made = {"extra_blocks": size} if grow == "depth" else {"width": size / START["width"]}
    return Candidate(name=BASELINE, **made)


def _count(build: Build, candidate: Candidate, by: Measure, shape: tuple[int, ...]) -> int:
    with torch.device("meta"):
        network = build(candidate)
        return count_parameters(network) if by == "parameters" else count_multiply_adds(network, shape)


def _shapes(build: Build, candidate: Candidate) -> Shapes:
    """What tells networks of one family apart: several widths round to the same channels."""
    with torch.device("meta"):
        return tuple(tuple(parameter.shape) for parameter in build(candidate).parameters())


def _shortest(build: Build, candidate: Candidate, made: Shapes) -> Candidate:
    """The same network by the width with the fewest digits."""
    if candidate.extra_blocks:
        return candidate
    widths = (round(candidate.width, digits) for digits in range(1, DIGITS + 1))
    shorter = (Candidate(name=BASELINE, width=width) for width in widths)
    return next(one for one in shorter if _shapes(build, one) == made)


def _match_count(cost: Callable[[int], int], asked: int, grow: Growth) -> int:
    """The size whose cost is nearest to `asked`, of costs that grow with the size."""
    low, high = START[grow], START[grow] + 1
    while cost(high) < asked:
        if high == MOST[grow]:
            raise RequestError(
                f"a baseline that costs {asked:,} is more than {_plain(grow, high).label}: leave out "
                "--control, or let the other of width and depth --grow"
            )
        low, high = high, min(START[grow] + 2 * (high - START[grow]), MOST[grow])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) < asked else (low, middle)
    return min(low, high, key=lambda size: abs(cost(size) - asked))


def _match_latency(
    build: Build, candidate: Candidate, grow: Growth, shape: tuple[int, ...], device: torch.device
) -> tuple[int, float, float]:
    """Size of the control, and latencies of candidate and control as multiples of the plain backbone's."""
    start, network = START[grow], build(candidate)

    def excess(size: int) -> float:
        """How much slower than the candidate the plain backbone of this size is, as a share."""
        networks = {"candidate": network, "control": build(_plain(grow, size))}
        measured = measure_latencies(networks, shape, device=device, seconds=SECONDS, rounds=ROUNDS)
        return measured["control"].ratio - 1

    return _find_latency(excess, start, MOST[grow])


def _find_latency(excess: Callable[[int], float], start: int, most: int) -> tuple[int, float, float]:
    """As `_match_latency`, for any measured `excess`: bracketed first, then between the two nearest."""
    seen = {start: excess(start)}
    asked = 1 / (1 + seen[start])
    step = max(round(start * (math.sqrt(max(asked, 1)) - 1)), 1)
    while min(map(abs, seen.values())) > TOLERANCE and len(seen) < MOST_MEASUREMENTS:
        below = max((size for size, value in seen.items() if value < 0), default=None)
        above = min((size for size, value in seen.items() if value > 0), default=None)
        if below is None:
            break  # no dearer than the plain backbone
        if above is None:
            # A first step, then as far as that step's gain says, and a little further.
            gain = (seen[below] - seen[start]) / max(below - start, 1)
            far = start - 1.1 * seen[start] / gain if gain * step > TOLERANCE / 2 else below + step
            size = min(max(math.ceil(far), below + 1), most)
            step *= 2
        else:
            # Every other time halved: where the curve bends, interpolation creeps up from one side.
            share = 0.5 if len(seen) % 2 else seen[below] / (seen[below] - seen[above])
            size = round(below + share * (above - below))
        if size in seen:
            break  # there is no other between them
        seen[size] = excess(size)
    best = min(seen, key=lambda size: abs(seen[size]))
    return best, asked, asked * (1 + seen[best])
