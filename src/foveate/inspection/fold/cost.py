"""What a network costs before and after its attention was folded."""

from collections.abc import Callable

import torch
from torch import nn

from foveate.evaluation.cost import calmest_turns, cost_row, count_multiply_adds
from foveate.evaluation.timing import compare_latencies
from foveate.records.cost import Timing
from foveate.records.fold import FoldCost

__all__ = ["measure_fold_cost"]

BEFORE, AFTER = "before", "after"


def measure_fold_cost(
    before: nn.Module,
    after: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    seconds: float,
    on_round: Callable[[int, int], None],
) -> FoldCost:
    """Count the work of both networks, and time them in turns on images of `shape` (B, C, H, W).

    On a busy machine that is repeated, and the calmest measurement is taken.
    """
    networks = {BEFORE: before, AFTER: after}
    macs = {name: count_multiply_adds(network.cpu(), shape) for name, network in networks.items()}
    turns = calmest_turns(networks, shape, device=device, seconds=seconds, on_round=on_round)
    latencies = compare_latencies(turns)
    rows = {name: cost_row(network, macs[name], latencies[name]) for name, network in networks.items()}
    rounds = turns.milliseconds.shape[1]
    return FoldCost(
        input=shape,
        device=str(device),
        timing=Timing(reference=BEFORE, rounds=rounds, cpu_share=turns.cpu_share),
        before=rows[BEFORE],
        after=rows[AFTER],
    )
