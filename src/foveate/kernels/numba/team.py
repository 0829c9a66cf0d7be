"""How a CPU kernel gets its work: a task in memory, a team of threads, views of the memory that a task names.

A task is one record of integers, addresses and numbers. Every thread of the team gets its address and does
its share, so a kernel is compiled once for any number of threads.
"""

import functools
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import carray, types
from numba.extending import register_jitable
from torch import Tensor

from foveate.kernels.numba.intrinsics import pointer_to
from foveate.kernels.numba.maths import compiled_on_disk, inlined
from foveate.kernels.numba.openmp import (
    BARRIER,
    RANK,
    SINGLE_THREAD,
    TEAM,
    declare_entry_points,
    run_in_team,
)
from foveate.kernels.operators import layout

__all__ = [
    "MAP",
    "Plan",
    "address_of",
    "attend_images",
    "attend_whole_images",
    "barrier",
    "floats",
    "is_last",
    "kernels",
    "make_plan",
    "part_of",
    "read_task",
    "rows",
    "share",
    "take",
    "take_kernels",
    "take_rows",
    "whole_lines",
    "worker",
]

MAP = ("images", "channels", "height", "width", "channels_last", "x", "y", "team", "scratch", "shared", "own")
"""The fields that every task begins with: the map, the number of threads, and scratch memory.

`shared` and `own` are the floats of scratch of an image and of a thread.
"""
HEAD = struct.Struct(f"{len(MAP)}q")

declare_entry_points()


_float_pointer = pointer_to(types.float32)


@inlined
def floats(address, count):
    """Return the `count` floats at `address` as an array."""
    return carray(_float_pointer(address), (count,))


@inlined
def rows(address, count, length):
    """Return the `count` rows of `length` floats at `address` as an array."""
    return carray(_float_pointer(address), (count, length))


@inlined
def address_of(array):
    """Return the address of a contiguous array."""
    return np.int64(array.ctypes.data)


@inlined
def part_of(array, first, count):
    """Return `count` floats of a contiguous array from `first` on; a slice takes longer to make."""
    return floats(address_of(array) + 4 * first, count)


@inlined
def kernels(address, count, maps, size):
    """Return the `count` kernels (maps, size, size) at `address`; a reshape takes long to compile."""
    return carray(_float_pointer(address), (count, maps, size, size))


@register_jitable
def whole_lines(count: int) -> int:
    """Round `count` floats up to whole cache lines: a vector that crosses two of them costs twice."""
    return (count + 15) // 16 * 16


@inlined
def take(memory, count):
    """Return `count` floats at the address `memory`, and the address behind them.

    Each array comes from its own address: the compiler does not vectorise loops over slices of one array.
    """
    return floats(memory, count), memory + 4 * whole_lines(count)


@inlined
def take_rows(memory, count, length):
    """Return `count` rows of `length` floats at the address `memory`, and the address behind them."""
    return rows(memory, count, length), memory + 4 * whole_lines(count * length)


@inlined
def take_kernels(memory, count, maps, size):
    """Return `count` kernels (maps, size, size) at the address `memory`, and the address behind them."""
    return kernels(memory, count, maps, size), memory + 4 * whole_lines(count * maps * size * size)


def is_last(weight: Tensor) -> bool:
    """Return whether a convolution's kernels are in channels_last and not in torch's contiguous format."""
    return not weight.is_contiguous()


def read_task(record: np.dtype[Any]) -> Any:
    """Return a function that reads the record at an address."""
    pointer = pointer_to(numba.from_dtype(record))

    @inlined
    def read(address):
        return carray(pointer(address), (1,))[0]

    return read


_rank_in_team = types.ExternalFunction(RANK, types.int32())
_threads_in_team = types.ExternalFunction(TEAM, types.int32())
_wait_for_team = types.ExternalFunction(BARRIER, types.void())


@inlined
def barrier(team):
    """Wait until all `team` threads have reached this point."""
    if team > 1:
        _wait_for_team()


@inlined
def share(count, rank, team):
    """Return the part [begin, end) of `count` items that thread `rank` of `team` takes."""
    each = (count + team - 1) // team
    return min(rank * each, count), min((rank + 1) * each, count)


@inlined
def attend_images(task, attend):
    """Call attend(task, image, shared, own, rank, team) for this thread's part of the images of a task.

    Of a batch with enough images each thread takes whole images; the others are shared by all threads, so
    that an image stays in their caches between the passes. The runtime may start fewer threads than asked.
    """
    rank, team = np.int64(_rank_in_team()), np.int64(_threads_in_team())  # type: ignore[arg-type]
    own = task.scratch + 4 * (task.team * task.shared + rank * task.own)
    alone = task.images // team * team  # the images that threads take for themselves
    mine = task.scratch + 4 * rank * task.shared
    rounds = alone // team
    for turn in range(rounds + task.images - alone):  # one call: each would be compiled for itself
        is_alone = turn < rounds
        if turn == rounds:
            barrier(team)
        image = rank + turn * team if is_alone else alone + turn - rounds
        shared = mine if is_alone else task.scratch
        attend(task, image, shared, own, 0 if is_alone else rank, 1 if is_alone else team)


@inlined
def attend_whole_images(task, attend):
    """Call attend(task, image, own, sums) for this thread's images of a task, each of which it takes alone.

    `own` is the address of the thread's scratch, and `sums` that of its part of the sums over images.
    """
    rank, team = np.int64(_rank_in_team()), np.int64(_threads_in_team())  # type: ignore[arg-type]
    own = task.scratch + 4 * rank * task.own
    sums = task.sums + 4 * rank * task.summed
    for image in range(rank, task.images, team):
        attend(task, image, own, sums)


def worker(function: Any) -> Any:
    """Compile the function that each thread of a team calls with the address of its task."""
    return compiled_on_disk(functools.partial(numba.cfunc, types.void(types.int64), nopython=True), function)


class Plan(NamedTuple):
    """The fields of a task that are the same for every map of one shape.

    `shared` and `own` are the floats of scratch for an image and for a thread.
    """

    work: int
    shared: int
    own: int
    rest: bytes
    weights: Sequence[Tensor] = ()  # kept alive as long as their addresses are used

    def carry_out(self, x: Tensor) -> Tensor:
        """Run the task in torch's threads on x (B, C, H, W), float32, and return the new map."""
        contiguous = x.is_contiguous()
        if not contiguous and not x.is_contiguous(memory_format=torch.channels_last):
            x, contiguous = x.contiguous(memory_format=layout(x)), layout(x) is torch.contiguous_format
        team = 1 if SINGLE_THREAD else torch.get_num_threads()
        y = torch.empty_like(x)
        scratch = torch.empty(team * (self.shared + self.own), dtype=torch.float32, device="cpu")
        memory = (x.data_ptr(), y.data_ptr(), team, scratch.data_ptr(), self.shared, self.own)
        run_in_team(self.work, HEAD.pack(*x.shape, not contiguous, *memory) + self.rest, team, 0)
        return y


def make_plan(
    work: Any,
    sizes: Sequence[int],
    scratch: tuple[Iterable[int], Iterable[int]],
    addresses: Sequence[int],
    numbers: Sequence[float] = (),
) -> Plan:
    """Return the plan of a task whose record is MAP, then sizes, addresses and numbers.

    `scratch` holds the sizes in floats of the arrays that an image and that a thread takes.
    """
    shared, own = (sum(map(whole_lines, counts)) for counts in scratch)
    integers = (*sizes, *addresses)
    rest = struct.pack(f"{len(integers)}q{len(numbers)}d", *integers, *numbers)
    return Plan(work.address, shared, own, rest)
