"""Evaluate a network on batches of images of any size, by the steps of its task."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from foveate.tasks.task import Batch, Step, TaskSteps

__all__ = ["evaluated", "targets_on"]


def evaluated(
    steps: TaskSteps,
    network: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    autocast: torch.dtype | None,
) -> Iterator[tuple[Step, Batch]]:
    """Give what `network`, which is put into evaluation mode, makes of each batch, and the batch.

    Images are lists of tensors. Boxes stay where they are: they are compared on the CPU.
    """
    network.to(device).eval()
    for images, targets in batches:
        with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            step = steps.evaluation_step(
                network, ([image.to(device) for image in images], targets_on(device, targets))
            )
        yield step, (images, targets)


def targets_on(device: torch.device, targets: Iterable[Any]) -> list[Any]:
    """Return masks on `device`, and boxes as they are."""
    return [one.to(device) if isinstance(one, Tensor) else one for one in targets]
