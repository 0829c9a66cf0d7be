"""Find out whether a mechanism's CPU kernels or its equations are faster in a compiled network.

A block, ReLU(attention(BN(Conv1×1(x))) + x), stands for the network: its compiler can fuse the equations
with what is around them. The block without attention, with the equations and with numba's kernels, eager and
in each form of compiling, take one step each in turns; a step in training is forward and backward. Rows in
which the compiled kernels are slower belong into `SLOWER` of src/foveate/kernels/measured.py.

    python benchmarks/compiled_blocks.py --attention simam [--mode training] [--maps 16x32 64x8] [--seconds 3]
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from compiled_networks import EAGER, FORMS, as_compiled
from foveate import create_attention, set_path
from foveate.evaluation.compiling import compile_whole, room_for
from foveate.evaluation.step import inference_step
from foveate.evaluation.timing import Step, Turns, latency_beside, take_turns
from price_proof import check_kernels_load

PATHS = ("none", "reference", "numba")
"""The paths of the blocks' attention; "none" is the block without it."""
MAPS = {"inference": ((256, 56), (1024, 14)), "training": ((16, 32), (64, 8))}
"""Channels and side of maps: of ResNet-50's stages, and of cifar_resnet20's."""
BATCH = {"inference": 1, "training": 32}


class Block(nn.Module):
    """The end of a residual block: ReLU(attention(BN(Conv1×1(x))) + x)."""

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Return the block of x (B, C, H, W)."""
        return torch.relu(self.attention(self.norm(self.conv(x))) + x)


def make_step(mechanism: str, path: str, form: str, x: Tensor, mode: str) -> Step:
    """Return a step of a block whose attention takes `path`, compiled in `form` or eager."""
    torch.manual_seed(0)
    channels = x.shape[1]
    attention = nn.Identity() if path == "none" else set_path(create_attention(mechanism, channels), path)
    block = Block(channels, attention).train(mode == "training")
    runs = block if form == EAGER else compile_whole(block)
    step = inference_step(runs, x) if mode == "inference" else _training_step(block, runs, x)
    with as_compiled(form):
        step()
    return step


def _training_step(block: nn.Module, runs: nn.Module, x: Tensor) -> Step:
    x, up = x.clone().requires_grad_(), torch.randn_like(x)

    def step() -> None:
        block.zero_grad(set_to_none=True)
        x.grad = None
        runs(x).backward(up)

    return step


def measure(mechanism: str, mode: str, forms: Sequence[str], x: Tensor, seconds: float) -> Turns:
    """Time all blocks in turns; their names are "FORM PATH"."""
    with room_for(len(PATHS) * len(forms)):
        steps = {
            f"{form} {path}": make_step(mechanism, path, form, x, mode) for form in forms for path in PATHS
        }
        return take_turns(steps, x.device, seconds=seconds, rounds=(15, 2000))


def in_lines(turns: Turns, forms: Sequence[str]) -> list[str]:
    """Return a line for each form: what each path adds, and the kernels' block over that of the equations."""
    lines = []
    for form in forms:
        times = {path: turns.milliseconds[turns.names.index(f"{form} {path}")] for path in PATHS}
        adds = ", ".join(f"{path} adds {(times[path] - times['none']).median():.2f} ms" for path in PATHS[1:])
        over = latency_beside(turns, f"{form} numba", f"{form} reference")
        low, high = over.interval or (over.ratio, over.ratio)
        slower = "  slower" if form != EAGER and low > 1 else ""
        lines.append(
            f"  {form:13} {times['none'].median():6.2f} ms; {adds}; numba / reference "
            f"{over.ratio:.2f} [{low:.2f}, {high:.2f}]{slower}"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--attention", required=True, help="a mechanism with numba's kernels")
    parser.add_argument("--mode", default="inference", choices=("inference", "training"))
    parser.add_argument("--batch-size", type=int, help="by default 1, and 32 in training")
    parser.add_argument("--maps", nargs="+", metavar="CxS", help="channels and side, such as 256x56")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=20, help="seconds of each map; by default 20")
    parser.add_argument(
        "--forms", nargs="+", choices=FORMS, help="by default default, and freezing in inference"
    )
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    check_kernels_load([given.attention])
    maps = MAPS[given.mode]
    if given.maps:
        maps = tuple((int(one.partition("x")[0]), int(one.partition("x")[2])) for one in given.maps)
    usual = ("default", "freezing") if given.mode == "inference" else ("default",)
    forms = (EAGER, *(given.forms or usual))
    for channels, side in maps:
        x = torch.randn(given.batch_size or BATCH[given.mode], channels, side, side)
        print(f"{given.attention}, {given.mode}, map of {'×'.join(map(str, x.shape))}")
        turns = measure(given.attention, given.mode, forms, x, given.seconds)
        print("\n".join(in_lines(turns, forms)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
