"""How long steps take by how threads wait for each other, alone and beside other programs.

OpenMP's threads can spin while they wait, or sleep. Each policy is a process of its own, and they take turns,
as the variables are read when torch is imported.

    python benchmarks/waiting.py [--rounds 3] [--json FILE]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch

from foveate import attach
from foveate.evaluation.step import inference_step, training_step
from foveate.evaluation.timing import Step, compare_latencies, take_turns
from foveate.models.backbones.create import create_backbone
from foveate_command import SET_BY_USER, WAITING

POLICIES: dict[str, dict[str, str]] = {
    "as torch comes": {},
    "as `foveate` sets it": WAITING,
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
LOADS = ("alone", "beside a program that holds a core", "two at once")
THREADS = 2


def take_steps(seconds: float) -> dict[str, float]:
    """Return the median time of each step in this process, in ms."""
    torch.set_num_threads(THREADS)
    plain, attended = (timm.create_model("resnet50").eval() for _ in range(2))
    attach(attended, "dmsca")
    trained = create_backbone("cifar_resnet20", classes=10, image_size=32).train()
    image, images = torch.randn(1, 3, 224, 224), torch.randn(128, 3, 32, 32)
    classes, optimizer = torch.randint(10, (128,)), torch.optim.SGD(trained.parameters(), 0.1)
    steps: dict[str, Step] = {
        "ResNet-50, one image": inference_step(plain, image),
        "the same with DMSCA": inference_step(attended, image),
        "training step of cifar_resnet20, 128 images": training_step(trained, images, classes, optimizer),
    }
    latencies = compare_latencies(take_turns(steps, torch.device("cpu"), seconds=seconds, rounds=(5, 1000)))
    return {name: latency.p50 for name, latency in latencies.items()}


def measure(rounds: int, seconds: float) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Return the times of all rounds in ms, by load, step and policy."""
    times: dict[str, dict[str, dict[str, list[float]]]] = {}
    base = {name: value for name, value in os.environ.items() if name not in SET_BY_USER}
    command = [sys.executable, __file__, "--one", "--seconds", str(seconds)]
    for _ in range(rounds):
        for load in LOADS:
            for policy, variables in POLICIES.items():
                count = 2 if load == "two at once" else 1
                with core_held(is_held="core" in load):
                    started = [
                        subprocess.Popen(command, env=base | variables, stdout=subprocess.PIPE, text=True)
                        for _ in range(count)
                    ]
                    said = [process.communicate()[0] for process in started]
                for text in said:
                    for step, found in json.loads(text.splitlines()[-1]).items():
                        times.setdefault(load, {}).setdefault(step, {}).setdefault(policy, []).append(found)
    return times


@contextmanager
def core_held(*, is_held: bool) -> Iterator[None]:
    """Let another process hold a core in the block."""
    if not is_held:
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def table(times: dict[str, dict[str, dict[str, list[float]]]]) -> list[str]:
    """Return the rows of a table in Markdown: the median over the rounds, and their range."""
    rows = [f"| ms, {THREADS} threads | {' | '.join(POLICIES)} |", "|---" * (len(POLICIES) + 1) + "|"]
    for load, of_load in times.items():
        for step, of_step in of_load.items():
            cells = [
                f"{statistics.median(found):.0f} ({min(found):.0f} … {max(found):.0f})"
                for found in of_step.values()
            ]
            rows.append(f"| {step}, {load} | {' | '.join(cells)} |")
    return rows


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(take_steps(given.seconds)))
        return {}
    found = measure(given.rounds, given.seconds)
    print("\n".join(table(found)))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
