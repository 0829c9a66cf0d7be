"""What attention adds to a training step on a CPU: time beside the baseline in turns, and peak memory.

Before anything is timed, the gradients of every parameter of each network are compared with those by the
equations. Memory is measured in processes of their own.

    python benchmarks/training_price.py [--threads 2] [--rounds 9] [--json FILE]
"""

import argparse
import math
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from bench_figures import Figure, make_record
from foveate import attach, set_path
from foveate.evaluation.step import training_step
from foveate.evaluation.timing import Turns, compare_latencies, take_turns
from foveate.files import write_json
from foveate.models.backbones.create import create_backbone
from foveate.studies.engine.environment import describe_environment
from price_measure import find_version
from price_proof import check_kernels_load

PLAIN = "none"
CANDIDATES = ("dmsca", "cbam", "se")
PATHS = ("auto", "reference")
FURTHEST = 2e-3
"""Of a gradient from that by the equations, relatively: both are float32, through a whole network."""


class Case(NamedTuple):
    """A network and the images of a step."""

    backbone: str
    images: int
    side: int


CASES = (Case("cifar_resnet20", 128, 32), Case("resnet50", 16, 224))


def build(case: Case, name: str, path: str) -> nn.Module:
    """Return the network in training mode, with attention on a kernel path."""
    torch.manual_seed(0)
    network = create_backbone(case.backbone, classes=10, image_size=case.side).train()
    return network if name == PLAIN else set_path(attach(network, name), path)


def batch(case: Case, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images and classes."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randn(images, 3, case.side, case.side, generator=draw)
    return pixels, torch.randint(10, (images,), generator=draw)


def step_of(case: Case, network: nn.Module, images: int) -> Callable[[], None]:
    """Return a training step on a batch of so many images."""
    return training_step(
        network, *batch(case, images), torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9)
    )


def prove(case: Case, name: str) -> float:
    """Return the largest difference of a gradient from that by the equations.

    Raises:
        RuntimeError: it is more than FURTHEST.
    """
    gradients = []
    for path in PATHS:
        network = build(case, name, path)
        cross_entropy(network(batch(case, 4)[0]), batch(case, 4)[1]).backward()
        gradients.append({key: one.grad for key, one in network.named_parameters() if one.grad is not None})
    largest = max(one.abs().max().item() for one in gradients[1].values())
    found = max((gradients[0][key] - one).abs().max().item() / largest for key, one in gradients[1].items())
    if not found <= FURTHEST:
        raise RuntimeError(f"{name} in {case.backbone}: a gradient differs by {found:.1e} of the largest")
    return found


def take_steps(case: Case, rounds: int) -> Turns:
    """Time a step of each network, which take turns; the baseline is first."""
    networks = {PLAIN: build(case, PLAIN, "auto")}
    networks |= {f"{name} {path}": build(case, name, path) for name in CANDIDATES for path in PATHS}
    steps = {name: step_of(case, network, case.images) for name, network in networks.items()}
    return take_turns(steps, torch.device("cpu"), seconds=0.0, rounds=(rounds, rounds))


def peak(case: Case, name: str, path: str) -> float:
    """Return the memory in MB that a step of this process takes beyond what is held between steps."""
    network = build(case, name, path)
    step_of(case, network, 2)()
    step = step_of(case, network, case.images)
    before, most, is_over = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not is_over.wait(0.0005):
            most = max(most, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(2):
        step()
    is_over.set()
    watcher.join()
    return most - before


def resident() -> float:
    """Return the memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def measured_peak(case: Case, name: str, path: str, threads: int) -> float:
    """Return `peak` of a new process."""
    command = [sys.executable, __file__, "--threads", str(threads), "--peak", *map(str, case), name, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if given.peak:
        backbone, images, side, name, path = given.peak
        print(peak(Case(backbone, int(images), int(side)), name, path))
        return {}
    check_kernels_load(CANDIDATES)
    found: dict[str, Any] = {}
    print(f"| step on {given.threads} threads | time over the baseline | peak memory over the baseline |")
    print("|---|---|---|")
    for case in CASES:
        furthest = max(prove(case, name) for name in CANDIDATES)
        latencies = compare_latencies(take_steps(case, given.rounds))
        memory = measured_peak(case, PLAIN, "auto", given.threads)
        title = f"{case.backbone}, {case.images} images of {case.side}²"
        print(f"| {title}: baseline | {latencies[PLAIN].p50:.0f} ms | {memory:.0f} MB |")
        for name in CANDIDATES:
            for path in PATHS:
                latency = latencies[f"{name} {path}"]
                low, high = latency.interval or (math.nan, math.nan)
                more = measured_peak(case, name, path, given.threads) / memory - 1
                row = {"ratio": latency.ratio, "interval": latency.interval, "memory": more}
                found[f"{title}, {name}, {path}"] = row
                of_time = f"{latency.ratio - 1:+.1%} [{low - 1:+.1%}, {high - 1:+.1%}]"
                print(f"| {name}, {path} | {of_time} | {more:+.0%} |", flush=True)
        print(f"|  | gradients differ by at most {furthest:.0e} of the largest |  |")
    if given.json:
        where = describe_environment(torch.device("cpu"), given.threads).to_json()
        figures = [
            Figure(f"{title}: over the baseline", row["ratio"], row["interval"], "price")
            for title, row in found.items()
            if title.endswith(PATHS[0])
        ]
        command = shlex.join(["python", "benchmarks/training_price.py", *(arguments or [])])
        today = date.today().isoformat()
        where |= {"numba": find_version("numba")}
        record = make_record("training_price", where, command, today, figures)
        write_json(given.json, record | {"rows": found})
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
