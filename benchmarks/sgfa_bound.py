"""What SGFA's convolutions alone take in ConvNeXt-Tiny, over the baseline: no form of SGFA takes less.

A step carries out the convolutions of the three sites, each on the output of the one before where it fits,
and nothing else: no masks, no GELU, no concatenation, no sum. Each site takes the faster of two forms:
torch's convolutions in the network's memory format, or products of matrices whose rows are pixels.

    python benchmarks/sgfa_bound.py [--threads 2] [--batch-sizes 1 8] [--seconds 20]
"""

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from foveate import attach
from foveate.evaluation.timing import compare_latencies, take_turns
from foveate.models import attached
from foveate.models.backbones.create import create_backbone

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
ALONE = "its convolutions alone"
CPU = torch.device("cpu")

Site = list[tuple[nn.Conv2d, Tensor]]
"""The convolutions of a site in their order, with their inputs."""


def build(memory_format: str, *, attention: bool) -> nn.Module:
    """Return ConvNeXt-Tiny, with SGFA or without."""
    torch.manual_seed(0)
    network = create_backbone("convnext_tiny", classes=1000, image_size=224)
    network = attach(network, "sgfa") if attention else network
    return network.eval().to(memory_format=FORMATS[memory_format])


def read_sites(network: nn.Module, images: Tensor) -> list[Site]:
    """Return the convolutions of all sites but those of one pixel, with their inputs for these images."""
    sites: list[Site] = []
    handles = []
    for module in attached(network).values():
        site: Site = []
        sites.append(site)

        def keep(layer: nn.Conv2d, given: tuple[Tensor], _: Tensor, site: Site = site) -> None:
            if given[0].shape[2:].numel() > 1:
                site.append((layer, given[0].clone()))

        convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
        handles += [layer.register_forward_hook(keep) for layer in convolutions]
    network(images)
    for handle in handles:
        handle.remove()
    return sites


def count_multiply_adds(site: Site) -> int:
    """Return the multiply-adds of a site."""
    return sum(x.shape[0] * x.shape[2:].numel() * layer.weight.numel() for layer, x in site)


def convolve(site: Site) -> None:
    """Carry out the convolutions as torch does, on maps in their memory format."""
    out = site[0][1]
    for layer, x in site:
        out = layer(out if out.shape == x.shape else x)


def multiply(site: Site) -> None:
    """Carry out the 1×1 convolutions as products of matrices, and the others in channels_last."""
    out = site[0][1]
    for layer, x in site:
        out = out if out.shape == x.shape else x
        if layer.kernel_size == (1, 1):
            rows = linear(out.permute(0, 2, 3, 1), layer.weight.flatten(1), layer.bias)
            out = rows.permute(0, 3, 1, 2)
        else:
            out = layer(out)


def fastest(site: Site) -> Callable[[], None]:
    """Return the form of a site that takes less time."""
    in_rows = [(layer, x.contiguous(memory_format=torch.channels_last)) for layer, x in site]
    forms = {"maps": partial(convolve, site), "rows": partial(multiply, in_rows)}
    found = compare_latencies(take_turns(forms, CPU, seconds=1.0, rounds=(11, 200)))
    return forms[min(found, key=lambda name: found[name].p50)]


def measure(memory_format: str, batch_size: int, seconds: float) -> str:
    """Return a row of the table."""
    images = torch.randn(batch_size, 3, 224, 224).to(memory_format=FORMATS[memory_format])
    plain, network = build(memory_format, attention=False), build(memory_format, attention=True)
    sites = read_sites(network, images)
    ways = [fastest(site) for site in sites]
    steps = {
        "baseline": partial(plain, images),
        "SGFA": partial(network, images),
        ALONE: lambda: [way() for way in ways].clear(),
    }
    found = compare_latencies(take_turns(steps, CPU, seconds=seconds, rounds=(11, 2000)))
    low, high = found["SGFA"].interval or (math.nan, math.nan)
    added = f"{found['SGFA'].ratio - 1:+.1%} [{low - 1:+.1%}, {high - 1:+.1%}]"
    least, most = found[ALONE].interval or (math.nan, math.nan)
    alone = f"{found[ALONE].ratio:.1%} [{least:.1%}, {most:.1%}]"
    count = sum(map(count_multiply_adds, sites)) / batch_size
    cells = (f"batch {batch_size}, {memory_format}", f"{found['baseline'].p50:.0f} ms", added, alone)
    return f"| {' | '.join(cells)} | {count / 1e6:.0f} million |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    print(
        "| SGFA in ConvNeXt-Tiny | baseline | SGFA adds | its convolutions alone | multiply-adds an image |"
    )
    print("|---|---|---|---|---|")
    with torch.inference_mode():
        for batch_size in given.batch_sizes:
            for memory_format in FORMATS:
                print(measure(memory_format, batch_size, given.seconds), flush=True)


if __name__ == "__main__":
    main()
