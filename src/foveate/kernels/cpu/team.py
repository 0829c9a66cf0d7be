"""How a CPU kernel gets its work: a task in memory, a team of threads, views of what the task points to.

A task is one record of integers, addresses and numbers. Every thread of the team is given its address and
does its share; a kernel is compiled once, whatever the number of threads.
"""

import ctypes
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numba
import numpy as np
import torch
from numba import carray, types
from numba.extending import intrinsic, register_jitable
from torch import Tensor

from foveate.kernels.cpu.maths import inlined
from foveate.kernels.cpu.openmp import BARRIER, RANK, TEAM, declare_entry_points, run_in_team, why_alone

__all__ = [
    "MAP",
    "attend_images",
    "barrier",
    "floats",
    "read_task",
    "rows",
    "run_task",
    "share",
    "take",
    "take_rows",
    "whole_lines",
    "worker",
]

MAP = ("images", "channels", "height", "width", "channels_last", "x", "y", "team", "scratch", "shared", "own")
"""What every task begins with: the map, the threads, and scratch floats: each image's and each thread's."""

declare_entry_points()


def _pointer_to(kind: Any) -> Any:
    @intrinsic
    def pointer(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), generate

    return pointer


_float_pointer = _pointer_to(types.float32)


@inlined
def floats(address, count):
    """The `count` floats at `address`."""
    return carray(_float_pointer(address), (count,))


@inlined
def rows(address, count, length):
    """The `count` rows of `length` floats at `address`."""
    return carray(_float_pointer(address), (count, length))


@register_jitable
def whole_lines(count: int) -> int:
    """`count` floats, rounded up to whole cache lines: vectors across two of them cost twice."""
    return (count + 15) // 16 * 16


@inlined
def take(memory, count):
    """`count` floats at the address `memory`, and the address behind them.

    Each is made of an address of its own: the compiler does not vectorise loops over slices of one array.
    """
    return floats(memory, count), memory + 4 * whole_lines(count)


@inlined
def take_rows(memory, count, length):
    """`count` rows of `length` floats at the address `memory`, and the address behind them."""
    return rows(memory, count, length), memory + 4 * whole_lines(count * length)


def read_task(record: np.dtype[Any]) -> Any:
    """Make the function that reads the record at an address."""
    pointer = _pointer_to(numba.from_dtype(record))

    @inlined
    def read(address):
        return carray(pointer(address), (1,))[0]

    return read


_rank_in_team = types.ExternalFunction(RANK, types.int32())
_threads_in_team = types.ExternalFunction(TEAM, types.int32())
_wait_for_team = types.ExternalFunction(BARRIER, types.void())


@inlined
def barrier(team):
    """Wait until all `team` threads are here."""
    if team > 1:
        _wait_for_team()


@inlined
def share(count, rank, team):
    """The part [begin, end) of `count` things that thread `rank` of `team` takes."""
    each = (count + team - 1) // team
    return min(rank * each, count), min((rank + 1) * each, count)


@inlined
def attend_images(task, attend):
    """Call attend(task, image, shared, own, rank, team) for this thread's part of the images of a task.

    All threads share each image, so that between the passes it stays in their caches; of a batch that has
    images enough, each thread takes whole ones. The runtime may give fewer threads than were asked for.
    """
    rank, team = np.int64(_rank_in_team()), np.int64(_threads_in_team())  # type: ignore[arg-type]
    own = task.scratch + 4 * (task.team * task.shared + rank * task.own)
    alone = task.images // team * team  # the images that threads take for themselves
    mine = task.scratch + 4 * rank * task.shared
    for image in range(rank, alone, team):
        attend(task, image, mine, own, 0, 1)
    barrier(team)
    for image in range(alone, task.images):
        attend(task, image, task.scratch, own, rank, team)


worker: Any = numba.cfunc(types.void(types.int64), cache=True, nopython=True)


def run_task(
    work: Any,
    record: np.dtype[Any],
    x: Tensor,
    sizes: Sequence[int],
    scratch: tuple[Iterable[int], Iterable[int]],
    addresses: Sequence[int],
    numbers: Sequence[float] = (),
) -> Tensor:
    """Let torch's threads `work` on x (B, C, H, W), contiguous or channels_last; return the new map.

    The task is what MAP names, then sizes, addresses and numbers as its record orders them, of 8 bytes each.
    `scratch` are the counts of floats that are taken of it, for an image and for a thread.
    """
    team = 1 if why_alone() else torch.get_num_threads()
    shared, own = (sum(map(whole_lines, counts)) for counts in scratch)
    y, memory = torch.empty_like(x), torch.empty(team * (shared + own))
    last = not x.is_contiguous()
    places = (last, x.data_ptr(), y.data_ptr(), team, memory.data_ptr(), shared, own)
    integers = (*x.shape, *places, *sizes, *addresses)
    task = ctypes.create_string_buffer(record.itemsize)
    struct.pack_into(f"{len(integers)}q{len(numbers)}d", task, 0, *integers, *numbers)
    run_in_team(work.address, ctypes.addressof(task), team)
    return y
