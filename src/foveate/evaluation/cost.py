"""What a network costs: parameters, multiply-adds, and latency measured side by side."""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foveate.evaluation.noise import Times, find_noise, worst_factor
from foveate.evaluation.proposals import most_proposals
from foveate.evaluation.timing import Latency, OnRound, Turns, compare_latencies, take_turns
from foveate.modes import evaluating
from foveate.records.cost import CostRow

__all__ = [
    "calmest_turns",
    "cost_row",
    "count_multiply_adds",
    "count_parameters",
    "measure_latencies",
    "time_networks",
]

TRIES = 3
"""The most measurements of latencies that are made on a busy machine."""


def count_parameters(network: nn.Module) -> int:
    """Return the number of parameters that training changes."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@torch.inference_mode()
def count_multiply_adds(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the multiply-adds of convolutions and matrix products in one forward pass, as torch counts them.

    The figure contains no element-wise work, for any network; `foveate.evaluation.element_wise` counts that.
    A detector of two stages is counted with as many proposals as it keeps at most.
    """
    with evaluating(network), most_proposals(network), FlopCounterMode(display=False) as counter:
        network(torch.zeros(input_shape))
    return int(counter.get_total_flops()) // 2


def cost_row(network: nn.Module, macs: int | None, latency: Latency) -> CostRow:
    """Return what a network costs, as records have it, from its multiply-adds and its latency."""
    return CostRow(
        parameters=count_parameters(network),
        macs=macs,
        latency_ms_p50=latency.p50,
        latency_ms_p95=latency.p95,
        latency_ratio=latency.ratio,
        latency_ratio_ci95=latency.interval,
    )


@torch.inference_mode()
def time_networks(
    networks: Mapping[str, nn.Module],
    input_shape: tuple[int, ...],
    *,
    device: torch.device,
    seconds: float = 6.0,
    rounds: tuple[int, int] = (15, 400),
    on_round: OnRound | None = None,
) -> Turns:
    """Time one inference of each network, in turns (see `foveate.evaluation.timing.take_turns`).

    Detectors of two stages run with as many proposals as they keep at most.
    """
    images = torch.rand(input_shape, device=device)
    steps = {name: partial(network.to(device).eval(), images) for name, network in networks.items()}
    with ExitStack() as undo:
        for network in networks.values():
            undo.enter_context(most_proposals(network))
        return take_turns(steps, device, seconds=seconds, rounds=rounds, on_round=on_round)


def measure_latencies(
    networks: Mapping[str, nn.Module], input_shape: tuple[int, ...], **options: Any
) -> dict[str, Times]:
    """Return the latency of one inference of each network, by name (see `calmest_turns`).

    A ratio is the median over the rounds of a network's time divided by the first one's in the same round.
    """
    return _times(calmest_turns(networks, input_shape, **options))


def calmest_turns(networks: Mapping[str, nn.Module], input_shape: tuple[int, ...], **options: Any) -> Turns:
    """Time one inference of each network, in turns, and again while that is noisy; return the calmest.

    A noisy measurement (see `foveate.evaluation.noise`) is repeated, up to `TRIES` measurements in all. The
    options are those of `time_networks`.
    """
    measured: list[tuple[float, Turns]] = []
    for _ in range(TRIES):
        turns = time_networks(networks, input_shape, **options)
        noise = worst_factor(find_noise(_times(turns), turns.names[0], turns.cpu_share))
        measured.append((noise, turns))
        if noise == 1:
            break
    return min(measured, key=lambda one: one[0])[1]


def _times(turns: Turns) -> dict[str, Times]:
    return {
        name: Times(latency.p50, latency.p95, latency.ratio)
        for name, latency in compare_latencies(turns).items()
    }
