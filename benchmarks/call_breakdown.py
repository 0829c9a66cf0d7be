"""Where the time of attention goes in a network of one image: what a call checks and prepares; the kernel.

The network takes turns with its baseline, so that between two calls other things fill the caches, as in use.

    python benchmarks/call_breakdown.py [--attention dmsca,cbam] [--threads 2] [--memory-format channels_last]
"""

import argparse
import functools
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

from foveate import attach
from foveate.kernels import dispatch, inference
from foveate.kernels.numba import team
from foveate.models import attached
from foveate.models.backbones.create import create_backbone

CALL, STATE, UNCHANGED, PLAN, KERNEL = "call", "state", "unchanged", "plan", "kernel"
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def build(given: argparse.Namespace, attention: str | None) -> nn.Module:
    """Return the network, with attention or without."""
    torch.manual_seed(0)
    network = create_backbone(given.backbone, classes=10, image_size=given.image_size)
    network = network if attention is None else attach(network, attention)
    return network.eval().to(memory_format=FORMATS[given.memory_format])


def timed(spent: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which adds its seconds to spent[name]."""

    @functools.wraps(function)
    def run(*given: Any) -> Any:
        begun = time.perf_counter()
        result = function(*given)
        spent[name] += time.perf_counter() - begun
        return result

    return run


def watch(network: nn.Module, spent: dict[str, float]) -> Callable[[], None]:
    """Have all parts of a call timed from now on; return what ends that."""
    (kind,) = {type(module) for module in attached(network).values()}
    places = [
        *((kind, "forward", CALL), (dispatch, "_cache_key", STATE), (inference, "cached_plan", UNCHANGED)),
        *((team.Plan, "carry_out", PLAN), (team, "run_in_team", KERNEL)),
    ]
    before = [(place, name, getattr(place, name)) for place, name, _ in places]
    for place, name, called in places:
        setattr(place, name, timed(spent, called, getattr(place, name)))
    return lambda: [setattr(*one) for one in before].clear()


def measure(given: argparse.Namespace, attention: str) -> list[str]:
    """Return the row of a mechanism."""
    plain, network = build(given, None), build(given, attention)
    images = torch.randn(1, 3, given.image_size, given.image_size).to(
        memory_format=FORMATS[given.memory_format]
    )
    rounds: dict[str, list[float]] = defaultdict(list)
    with torch.inference_mode():
        for _ in range(3):
            plain(images), network(images)
        spent: dict[str, float] = defaultdict(float)
        stop = watch(network, spent)
        for _ in range(given.rounds):
            spent.clear()
            begun = time.perf_counter()
            plain(images)
            rounds["plain"].append(time.perf_counter() - begun)
            network(images)
            for name in (CALL, STATE, UNCHANGED, PLAN, KERNEL):
                rounds[name].append(spent[name])
        stop()
    sites = len(attached(network))
    of_call = {name: 1e6 * median(seconds) / sites for name, seconds in rounds.items() if name != "plain"}
    rest = of_call[CALL] - of_call[STATE] - of_call[UNCHANGED] - of_call[PLAN]
    parts = (of_call[STATE], of_call[UNCHANGED], of_call[PLAN] - of_call[KERNEL], rest, of_call[KERNEL])
    whole = of_call[CALL] * sites / 1e3
    in_all = f"{whole:.1f} ms of {1e3 * median(rounds['plain']):.0f}"
    return [attention, *(f"{part:.0f}" for part in parts), in_all]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--attention", default="dmsca,cbam,ca,simam")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--memory-format", choices=FORMATS, default="contiguous")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    head = ["µs a call", "state", "is the module unchanged?", "memory and task", "other Python", "kernel"]
    head.append(f"the network's calls, beside the baseline ({given.threads} threads, {given.memory_format})")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for attention in given.attention.split(","):
        print(f"| {' | '.join(measure(given, attention))} |", flush=True)


if __name__ == "__main__":
    main()
