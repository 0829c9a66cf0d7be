"""What every pass in training shares: its task, and how it is launched; each thread takes whole images.

A pass and its gradient are launchers of this package's modules `training_NAME`, with the names and arguments
of `foveate.kernels.reference`. They take float32 maps in torch's contiguous format, on a CPU.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.kernels.numba.maths import inlined
from foveate.kernels.numba.openmp import SINGLE_THREAD, run_in_team
from foveate.kernels.numba.team import rows, whole_lines

__all__ = ["carry_out", "planes_of", "task_of", "threads_of"]

HEAD = ("images", "channels", "height", "width", "scratch", "own", "sums", "summed")
"""The fields that every task begins with: the maps, a thread's floats of scratch, and of sums over images."""


def task_of(*fields: str) -> np.dtype[Any]:
    """Return the record of a task with these further fields: the addresses of its tensors, then sizes."""
    return np.dtype([(name, np.int64) for name in (*HEAD, *fields)])


@inlined
def planes_of(task, address, image):
    """Return an image of the maps at `address`, (C, P)."""
    C, P = task.channels, task.height * task.width
    return rows(address + 4 * image * C * P, C, P)


def carry_out(
    worker: Any,
    x: Tensor,
    tensors: Sequence[Tensor],
    own: Sequence[int] = (),
    sums: Tensor | None = None,
    sizes: Sequence[int] = (),
) -> None:
    """Run the task of `worker` on the images of x, in as many threads as torch has.

    Args:
        worker: the compiled function of a thread.
        x: (B, C, H, W), which gives the shape.
        tensors: contiguous float32, in the order of the task's record.
        own: floats of each array of a thread's scratch.
        sums: (threads, …), zeros: each thread has its own part; see `threads_of`.
        sizes: the last fields of the record.
    """
    team = threads_of(x)
    floats = sum(map(whole_lines, own))
    scratch = torch.empty(max(team * floats, 1), dtype=torch.float32)
    summed = (sums.data_ptr(), sums[0].numel()) if sums is not None else (0, 0)
    fields = (*x.shape, scratch.data_ptr(), floats, *summed, *map(Tensor.data_ptr, tensors), *sizes)
    run_in_team(worker.address, struct.pack(f"{len(fields)}q", *fields), team, 0)


def threads_of(x: Tensor) -> int:
    """Return how many threads take the images of x (B, C, H, W)."""
    return 1 if SINGLE_THREAD else max(min(torch.get_num_threads(), len(x)), 1)
