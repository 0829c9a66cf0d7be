"""Two ways to run one network, compared on the same random images."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from foveate.errors import WorkError, first_line

__all__ = ["Parity", "Run", "hold_against", "shapes_in_words"]

TOLERANCE = 1e-4
"""Of a logit, or of the largest one where that is above 1."""

Run = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) to logits (B, classes)."""


class Parity(NamedTuple):
    """At which shapes the two agree, and how closely."""

    checked: list[list[int]]  # shapes (B, C, H, W)
    refused: list[list[int]]  # shapes that the network takes and the other does not
    logits_difference: float  # the largest, absolute
    probabilities_difference: float
    largest_logit: float


def hold_against(
    network: nn.Module, run: Run, size: tuple[int, int], shapes: Iterable[tuple[int, ...]], what: str
) -> Parity:
    """Compare `run` with `network` at each of `shapes`; those that the network itself refuses are skipped.

    Raises WorkError if `what`, which `run` runs, differs by more than 1e-4 in a logit (times the largest one,
    where that is above 1), or refuses images of the network's own `size` (H, W).
    """
    generator = torch.Generator().manual_seed(0)
    checked, refused = [], []
    of_logits = of_probabilities = largest = 0.0
    for shape in shapes:
        images = torch.randn(shape, generator=generator)
        try:
            expected = network(images)
        except Exception:  # each network refuses in its own way
            continue
        try:
            found = run(images)
        except Exception as error:  # and so does each runtime
            if shape[2:] == size:
                raise WorkError(f"{what} refuses images of shape {shape}: {first_line(error)}") from error
            refused.append(list(shape))
            continue
        difference = (found - expected).abs().max().item()
        logit = expected.abs().max().item()
        if not difference <= TOLERANCE * max(1.0, logit):  # so that NaN does not pass
            raise WorkError(
                f"{what} differs from the network by {difference:.2g} in a logit (of logits up to "
                f"{logit:.3g}) at images of shape {shape}: nothing was written"
            )
        checked.append(list(shape))
        largest = max(largest, logit)
        of_logits = max(of_logits, difference)
        probability = (found.softmax(dim=1) - expected.softmax(dim=1)).abs().max().item()
        of_probabilities = max(of_probabilities, probability)
    return Parity(checked, refused, of_logits, of_probabilities, largest)


def shapes_in_words(shapes: Iterable[list[int]]) -> str:
    """Write shapes (B, C, H, W) as "batches of 1, 2 and 5 at 32×32, of 3 at 24×17"."""
    batches: dict[str, list[str]] = {}
    for batch, _, height, width in shapes:
        batches.setdefault(f"{height}×{width}", []).append(str(batch))
    lists = {size: " and ".join(filter(None, [", ".join(of[:-1]), of[-1]])) for size, of in batches.items()}
    return "batches " + ", ".join(f"of {of} at {size}" for size, of in lists.items())
