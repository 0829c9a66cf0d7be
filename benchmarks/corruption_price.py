"""Measure the time of the 15 corruptions beside a network's forward pass on the same images, in one run.

Batches are corrupted as `foveate robustness` does it, and passed through the network, in turns. The figure is
the time of a corruption, as the mean over its five severities, over that of the forward pass; under 1 the
network takes longer.

    python benchmarks/corruption_price.py [--backbone cifar_resnet20] [--images 1000] [--image-size 32]
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import timm
import torch

import foveate  # noqa: F401  registers the CIFAR networks
from bench_figures import Figure, make_record
from foveate.data.corruptions import CORRUPTIONS, corrupt
from foveate.files import write_json
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.fitting import Machine

SEVERITIES = (1, 2, 3, 4, 5)


def seconds(step: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="cifar_resnet20")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    device = Machine(asked.device, asked.threads).torch_device
    network = timm.create_model(asked.backbone, num_classes=10).to(device).eval()
    generator = torch.Generator(device).manual_seed(0)
    shape = (asked.images, 3, asked.image_size, asked.image_size)
    images = torch.rand(shape, generator=generator, device=device).mul_(255).round_().div_(255)
    batches = images.split(asked.batch_size)
    forward = 0.0
    price = dict.fromkeys(CORRUPTIONS, 0.0)
    with torch.inference_mode():
        for name in CORRUPTIONS:  # a warm-up, which fills caches
            corrupt(batches[0], name, 1, generator)
        network(batches[0])
        for severity in SEVERITIES:
            for name in CORRUPTIONS:
                for batch in batches:
                    forward += seconds(partial(network, batch), device)
                    price[name] += seconds(partial(corrupt, batch, name, severity, generator), device)
    each = forward / len(CORRUPTIONS)
    ratios = {name: spent / each for name, spent in price.items()}
    for name, ratio in ratios.items():
        print(f"{name:20} {ratio:6.3f}")
    total = sum(price.values()) / forward
    rate = asked.images * len(SEVERITIES) * len(CORRUPTIONS) / forward
    print(f"{'all 15 × 5':20} {total:6.3f} of the forward ({rate:,.0f} images a second)")
    if asked.json:
        settings = {key: value for key, value in vars(asked).items() if key != "json"}
        also = {"settings": settings, "ratios": ratios, "total": total, "forward_images_per_second": rate}
        where = describe_environment(device, asked.threads).to_json()
        title = f"all corruptions of {asked.image_size}² images / the forward pass of {asked.backbone}"
        command = ["python", "benchmarks/corruption_price.py", *(arguments or sys.argv[1:])]
        figures = [Figure(title, total, None, "time")]  # each corruption alone is too short for one
        today = date.today().isoformat()
        record = make_record("corruption_price", where, shlex.join(command), today, figures)
        write_json(asked.json, also | record)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
