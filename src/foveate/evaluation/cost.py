"""What a network costs: parameters, multiply-adds, and latency measured side by side."""

import time
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_multiply_adds", "count_parameters", "measure_latencies"]


def count_parameters(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@torch.inference_mode()
def count_multiply_adds(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-adds of one forward pass: those of convolutions and matrix products, as torch counts them.

    Element-wise work is not in this figure, for any network.
    """
    was_training = network.training
    counter = FlopCounterMode(display=False)
    with counter:
        network.eval()(torch.zeros(input_shape))
    network.train(was_training)
    return int(counter.get_total_flops()) // 2


@torch.inference_mode()
def measure_latencies(
    networks: Mapping[str, nn.Module],
    input_shape: tuple[int, ...],
    *,
    device: torch.device,
    seconds: float = 6.0,
    rounds: tuple[int, int] = (15, 400),
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Latency of one inference of each network, in ms: {name: {"p50", "p95", "ratio"}}.

    The networks take turns, one inference each, so that whatever the machine does besides falls on all of
    them alike; `ratio` is the median over the rounds of a network's time over the first one's in the same
    round. Rounds are repeated for `seconds` at the most, within the bounds of `rounds`. On a GPU the time
    is that between device events.
    """
    images = torch.rand(input_shape, device=device)
    runs = {name: network.to(device).eval() for name, network in networks.items()}
    for network in runs.values():
        for _ in range(3):
            network(images)
    started = time.perf_counter()
    for network in runs.values():
        _milliseconds(network, images)
    one_round = time.perf_counter() - started
    repeats = int(min(max(seconds / one_round, rounds[0]), rounds[1]))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for done in range(repeats):
        for name, network in runs.items():
            times[name].append(_milliseconds(network, images))
        if on_round is not None:
            on_round(done + 1, repeats)
    measured = torch.tensor([times[name] for name in runs], dtype=torch.float64)
    p50, p95 = measured.quantile(torch.tensor([0.5, 0.95], dtype=torch.float64), dim=1)
    ratio = (measured / measured[:1]).median(dim=1).values
    return {
        name: {"p50": p50[row].item(), "p95": p95[row].item(), "ratio": ratio[row].item()}
        for row, name in enumerate(runs)
    }


def _milliseconds(network: nn.Module, images: torch.Tensor) -> float:
    if images.device.type != "cuda":
        started = time.perf_counter()
        network(images)
        if images.device.type == "mps":
            torch.mps.synchronize()
        return (time.perf_counter() - started) * 1e3
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    network(images)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))
