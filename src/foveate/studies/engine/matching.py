"""Cost-matched controls: baselines made wider or deeper until they cost as much as a mechanism.

A detector or segmenter is enlarged in its backbone. Parameters and multiply-adds are counted on the meta
device (on the CPU where a detector is run: it chooses boxes by their values) and matched by
bisection over the width, in steps of 1/10,000, or over the number of blocks; both grow with the size.
Latencies are measured, candidate and control in turns, and the size is found by bracketing and interpolation.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import nn

from foveate.errors import RequestError
from foveate.evaluation.cost import count_multiply_adds, count_parameters, measure_latencies
from foveate.models.dense import DETECTORS
from foveate.records.design import Control, Growth, Measure
from foveate.records.labels import BASELINE, display_name
from foveate.studies.engine.network import build_network
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.dense import DenseNetwork

__all__ = ["match_controls"]

DIGITS = 4
START = {"width": 10**DIGITS, "depth": 0}
"""The size of the backbone itself. A size is its width in ten-thousandths, or the number of added blocks."""
MOST = {"width": 8 * START["width"], "depth": 512}
"""The largest sizes that are tried."""
TOLERANCE = 0.02
"""The precision of a ratio of latencies that are measured in turns."""
MOST_MEASUREMENTS = 8
SECONDS, ROUNDS = 3.0, (21, 200)
"""Of one latency measurement; on a quiet CPU the median ratio of 21 rounds is precise to about 1 %."""

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
    replace_own: bool = False,
    dense: DenseNetwork | None = None,
    input_size: tuple[int, int] | None = None,
) -> list[Control]:
    """Find a control for each candidate with attention: the enlarged baseline whose cost is nearest.

    `asked` and `reached` are the two costs by the measure `by`: parameters, multiply-adds of one image, or
    the latency of one image relative to the baseline's. A candidate has no control if the nearest is the
    baseline itself (SimAM has no parameters). Equal controls share one label. With `dense` they are such
    detectors or segmenters. Images are squares, or have the height and width of `input_size`.

    Raises:
        RequestError: the backbone cannot be made wider or deeper, or does not reach the cost within eight
            times its width or 512 added blocks.
    """
    shape = (1, channels, *(input_size or (image_size, image_size)))
    runs_on = "cpu" if dense is not None and dense.name in DETECTORS else "meta"
    build = partial(
        build_network,
        backbone,
        classes=classes,
        channels=channels,
        image_size=image_size,
        replace_own=replace_own,
        dense=dense,
    )
    count = partial(_count, build, by=by, shape=shape, runs_on=runs_on)
    enlarged = partial(_enlarged, grow)
    labels: dict[Shapes, str] = {_shapes(build, enlarged(START[grow])): BASELINE}
    cost_of_size = cache(lambda size: count(enlarged(size)))
    controls = []
    for candidate in candidates:
        if candidate.name == BASELINE:
            continue
        if by == "latency":
            size, asked, reached = _match_latency(build, candidate, grow, shape, device)
        else:
            asked = count(candidate)
            size = _match_count(cost_of_size, asked, grow)
            reached = cost_of_size(size)
        made = _shapes(build, enlarged(size))
        if made not in labels:
            labels[made] = _shortest(build, enlarged(size), made).label
        if labels[made] != BASELINE:
            controls.append(
                Control(label=labels[made], of=candidate.label, measure=by, asked=asked, reached=reached)
            )
    return controls


def _enlarged(grow: Growth, size: int) -> Candidate:
    made = {"extra_blocks": size} if grow == "depth" else {"width": size / START["width"]}
    return Candidate(name=BASELINE, **made)


def _count(build: Build, candidate: Candidate, *, by: Measure, shape: tuple[int, ...], runs_on: str) -> int:
    """Count, on the device `runs_on` where the network runs: for multiply-adds, or to find maps."""
    runs = by == "macs" or candidate.name != BASELINE
    with torch.device(runs_on if runs else "meta"):
        network = build(candidate)
        return count_parameters(network) if by == "parameters" else count_multiply_adds(network, shape)


def _shapes(build: Build, candidate: Candidate) -> Shapes:
    """Return the shapes of all weights: several widths round to the same numbers of channels."""
    with torch.device("meta"):
        return tuple(tuple(parameter.shape) for parameter in build(candidate).parameters())


def _shortest(build: Build, candidate: Candidate, made: Shapes) -> Candidate:
    """Return the candidate of the same network whose width has the fewest digits."""
    if candidate.extra_blocks:
        return candidate
    widths = (round(candidate.width, digits) for digits in range(1, DIGITS + 1))
    shorter = (Candidate(name=BASELINE, width=width) for width in widths)
    return next(one for one in shorter if _shapes(build, one) == made)


def _match_count(cost: Callable[[int], int], asked: int, grow: Growth) -> int:
    """Return the size whose cost is nearest to `asked`; `cost` grows with the size."""
    low, high = START[grow], START[grow] + 1
    while cost(high) < asked:
        if high == MOST[grow]:
            raise RequestError(
                f"a baseline that costs {asked:,} is more than "
                f"{display_name(_enlarged(grow, high).label)}: omit --control, or give the "
                "other of width and depth to --grow"
            )
        low, high = high, min(START[grow] + 2 * (high - START[grow]), MOST[grow])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) < asked else (low, middle)
    return min(low, high, key=lambda size: abs(cost(size) - asked))


def _match_latency(
    build: Build, candidate: Candidate, grow: Growth, shape: tuple[int, ...], device: torch.device
) -> tuple[int, float, float]:
    """Return the control's size, and the latencies of candidate and control relative to the baseline's."""
    start, network = START[grow], build(candidate)

    def excess(size: int) -> float:
        """Return by which share the baseline of this size is slower than the candidate."""
        networks = {"candidate": network, "control": build(_enlarged(grow, size))}
        measured = measure_latencies(networks, shape, device=device, seconds=SECONDS, rounds=ROUNDS)
        return measured["control"].ratio - 1

    return _find_latency(excess, start, MOST[grow])


def _find_latency(excess: Callable[[int], float], start: int, most: int) -> tuple[int, float, float]:
    """Do the work of `_match_latency` for any `excess`: bracket its zero, then interpolate."""
    seen = {start: excess(start)}
    asked = 1 / (1 + seen[start])
    step = max(round(start * (math.sqrt(max(asked, 1)) - 1)), 1)
    while min(map(abs, seen.values())) > TOLERANCE and len(seen) < MOST_MEASUREMENTS:
        below = max((size for size, value in seen.items() if value < 0), default=None)
        above = min((size for size, value in seen.items() if value > 0), default=None)
        if below is None:
            break  # the candidate is as fast as the baseline
        if above is None:
            # After a first step, extrapolate its gain and go 10 % further.
            gain = (seen[below] - seen[start]) / max(below - start, 1)
            far = start - 1.1 * seen[start] / gain if gain * step > TOLERANCE / 2 else below + step
            size = min(max(math.ceil(far), below + 1), most)
            step *= 2
        else:
            # Bisect every other time: on a curve, interpolation alone approaches from one side, slowly.
            share = 0.5 if len(seen) % 2 else seen[below] / (seen[below] - seen[above])
            size = round(below + share * (above - below))
        if size in seen:
            break  # no size is left between the two
        seen[size] = excess(size)
    best = min(seen, key=lambda size: abs(seen[size]))
    return best, asked, asked * (1 + seen[best])
