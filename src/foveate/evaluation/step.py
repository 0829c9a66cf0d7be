"""One step of a network, which is what gets timed: an inference, or a whole training step."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

__all__ = ["Mode", "capture_graph", "detection_step", "inference_step", "training_step"]

Mode = Literal["inference", "training"]


def inference_step(network: Callable[..., Any], images: Tensor) -> Callable[[], Any]:
    """Return a function that runs one forward pass under inference_mode."""

    @torch.inference_mode()
    def step() -> Any:
        return network(images)

    return step


def training_step(
    network: Callable[..., Any], images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer
) -> Callable[[], None]:
    """Return a function that runs forward, cross-entropy, backward and the optimizer's step."""

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def detection_step(
    network: Callable[..., Any],
    images: Tensor,
    targets: list[dict[str, Tensor]],
    optimizer: torch.optim.Optimizer,
) -> Callable[[], None]:
    """Return a function that runs a detector's forward, the sum of its losses, backward and optimizer step.

    `targets` are the boxes (N, 4) and labels (N,) of each image, as torchvision's detectors take them.
    """

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        losses: list[Tensor] = [*network(images, targets).values()]
        torch.stack(losses).sum().backward()
        optimizer.step()

    return step


def capture_graph(step: Callable[[], object], warm_up: int) -> Callable[[], None]:
    """Capture `step` as a graph on the current CUDA device, and return the function that replays it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warm_up):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
