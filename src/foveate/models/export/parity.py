"""Two ways to run one network, compared on the same random images."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import WorkError, first_line
from foveate.models.sites.outputs import tensors_in

__all__ = [
    "TOLERANCES",
    "Agreement",
    "OutputDifference",
    "Parity",
    "Run",
    "agree_on",
    "compare",
    "shapes_in_words",
]

TOLERANCE = 1e-4
"""Of a value of an output, or of the largest one of that output where it is above 1."""
TOLERANCES = {"fp32": TOLERANCE, "fp16": 0.05, "int8": None}
"""The same by precision. Half precision rounds each operator's result to 11 bits, and the errors of a deep
network add up; what is worse than this is an overflow, or a mistake. int8 is not equal: None."""

Run = Callable[[Tensor], Sequence[Tensor]]
"""From images (B, C, H, W) to the tensors of the outputs."""


class OutputDifference(NamedTuple):
    """How closely the two agree in one output, over all shapes."""

    name: str
    difference: float  # the largest, absolute
    largest: float  # of the values of the network itself, absolute


class Parity(NamedTuple):
    """At which shapes the two agree, and how closely; the last three are those of a classifier, or None."""

    checked: list[list[int]]  # shapes (B, C, H, W)
    refused: list[list[int]]  # shapes that the network takes and the other does not
    outputs: list[OutputDifference]
    logits_difference: float | None
    probabilities_difference: float | None
    largest_logit: float | None


class Agreement(NamedTuple):
    """How closely a file that is not equal to the network agrees with it, on images that were given."""

    images: int
    same_class: int | None  # images whose largest logit is the same one; None but for classifiers


def compare(
    network: nn.Module,
    run: Run,
    names: Sequence[str],
    size: tuple[int, int],
    shapes: Iterable[tuple[int, ...]],
    what: str,
    tolerance: float | None = TOLERANCE,
) -> Parity:
    """Compare each output, of which `names` are the names, of `run` and of `network` at each of `shapes`.

    Shapes that the network itself refuses are skipped. Raises WorkError if `what`, which `run` runs, differs
    by more than `tolerance` in a value (times the largest of its output, where that is above 1), gives
    another number of outputs or other shapes, or refuses images of the network's own `size` (H, W). Without a
    tolerance its values must be finite where those of the network are.
    """
    generator = torch.Generator().manual_seed(0)
    checked, refused = [], []
    differences, largest, of_probabilities = [0.0] * len(names), [0.0] * len(names), 0.0
    is_classifier = False
    for shape in shapes:
        images = torch.randn(shape, generator=generator)
        try:
            expected = tensors_in(network(images))
        except Exception:  # each network refuses in its own way
            continue
        try:
            found = run(images)
        except Exception as error:  # and so does each runtime
            if shape[2:] == size:
                raise WorkError(f"{what} refuses images of shape {shape}: {first_line(error)}") from error
            refused.append(list(shape))
            continue
        if len(found) != len(names) or len(expected) != len(names):
            raise WorkError(
                f"{what} gives {len(found)} outputs and the network {len(expected)} at images of shape "
                f"{shape}, expected {len(names)} ({', '.join(names)}): nothing was written"
            )
        for number, (name, ours, theirs) in enumerate(zip(names, expected, found, strict=True)):
            where = f"{what}, at images of shape {shape}, {name}"
            difference, value = _differ(ours, theirs, where, tolerance)
            differences[number] = max(differences[number], difference)
            largest[number] = max(largest[number], value)
        checked.append(list(shape))
        is_classifier = len(names) == 1 and expected[0].ndim == 2
        if is_classifier:
            probability = (found[0].softmax(dim=1) - expected[0].softmax(dim=1)).abs().max().item()
            of_probabilities = max(of_probabilities, probability)
    return Parity(
        checked,
        refused,
        [OutputDifference(*one) for one in zip(names, differences, largest, strict=True)],
        logits_difference=differences[0] if is_classifier else None,
        probabilities_difference=of_probabilities if is_classifier else None,
        largest_logit=largest[0] if is_classifier else None,
    )


def agree_on(
    network: nn.Module, run: Run, names: Sequence[str], images: Tensor, batch_size: int, what: str
) -> tuple[Parity, Agreement]:
    """Compare `run` with `network` on `images` (N, C, H, W), without a tolerance: `what` is not equal.

    The shapes of the first value are none: they are not those of a check. Raises WorkError as `compare` does.
    """
    differences, largest, of_probabilities, same = [0.0] * len(names), [0.0] * len(names), 0.0, 0
    is_classifier = False
    for batch in images.split(batch_size):
        expected, found = tensors_in(network(batch)), run(batch)
        for number, (name, ours, theirs) in enumerate(zip(names, expected, found, strict=True)):
            difference, value = _differ(ours, theirs, f"{what}, on its calibration images, {name}", None)
            differences[number] = max(differences[number], difference)
            largest[number] = max(largest[number], value)
        is_classifier = len(names) == 1 and expected[0].ndim == 2
        if is_classifier:
            same += int((found[0].argmax(dim=1) == expected[0].argmax(dim=1)).sum())
            probability = (found[0].softmax(dim=1) - expected[0].softmax(dim=1)).abs().max().item()
            of_probabilities = max(of_probabilities, probability)
    parity = Parity(
        [],
        [],
        [OutputDifference(*one) for one in zip(names, differences, largest, strict=True)],
        logits_difference=differences[0] if is_classifier else None,
        probabilities_difference=of_probabilities if is_classifier else None,
        largest_logit=largest[0] if is_classifier else None,
    )
    return parity, Agreement(len(images), same if is_classifier else None)


def _differ(expected: Tensor, found: Tensor, where: str, tolerance: float | None) -> tuple[float, float]:
    """Return the largest difference and the largest finite value; WorkError beyond the tolerance."""
    if expected.shape != found.shape:
        raise WorkError(
            f"{where}: it has the shape {tuple(found.shape)}, that of the network {tuple(expected.shape)}: "
            "nothing was written"
        )
    if expected.numel() == 0:
        return 0.0, 0.0
    ours, theirs = expected.double(), found.double()
    # Values that are equal differ by 0, infinite ones too.
    difference = torch.where(ours == theirs, 0.0, (theirs - ours).abs()).max().item()
    largest = ours[ours.isfinite()].abs().max().item() if ours.isfinite().any() else 0.0
    allowed = torch.finfo(torch.float64).max if tolerance is None else tolerance * max(1.0, largest)
    if not difference <= allowed:  # so that NaN does not pass
        raise WorkError(
            f"{where}: it differs from the network by {difference:.2g} (of values up to {largest:.3g}): "
            "nothing was written"
        )
    return difference, largest


def shapes_in_words(shapes: Iterable[list[int]]) -> str:
    """Write shapes (B, C, H, W) as "batches of 1, 2 and 5 at 32×32, of 3 at 24×17"."""
    batches: dict[str, list[str]] = {}
    for batch, _, height, width in shapes:
        batches.setdefault(f"{height}×{width}", []).append(str(batch))
    lists = {size: " and ".join(filter(None, [", ".join(of[:-1]), of[-1]])) for size, of in batches.items()}
    return "batches " + ", ".join(f"of {of} at {size}" for size, of in lists.items())
