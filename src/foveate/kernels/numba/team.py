"""How a CPU kernel gets its work: a task in memory, a team of threads, views of what the task points to.

A task is one record of integers, addresses and numbers. Every thread of the team is given its address and
does its share; a kernel is compiled once, whatever the number of threads.
"""

import functools
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from numba import carray, types
from numba.extending import intrinsic, register_jitable
from torch import Tensor

from foveate.kernels.numba.maths import inlined, kept
from foveate.kernels.numba.openmp import BARRIER, RANK, TEAM, declare_entry_points, run_in_team, why_alone
from foveate.kernels.operators import layout

__all__ = [
    "MAP",
    "Plan",
    "attend_images",
    "barrier",
    "floats",
    "make_plan",
    "read_task",
    "rows",
    "share",
    "take",
    "take_rows",
    "whole_lines",
    "worker",
]

MAP = ("images", "channels", "height", "width", "channels_last", "x", "y", "team", "scratch", "shared", "own")
"""What every task begins with: the map, the threads, and scratch floats: each image's and each thread's."""
HEAD = struct.Struct(f"{len(MAP)}q")
TEAM_OF_ONE = 1 if why_alone() else 0

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


def worker(function: Any) -> Any:
    """Compile what a thread of a team calls with the address of its task."""
    return kept(functools.partial(numba.cfunc, types.void(types.int64), nopython=True), function)


class Plan(NamedTuple):
    """All of a task that does not change from one map of a shape to the next.

    `shared` and `own` count the floats of scratch for an image and for a thread.
    """

    work: int
    shared: int
    own: int
    rest: bytes
    weights: Sequence[Tensor] = ()  # which live as long as their addresses are used

    def carry_out(self, x: Tensor) -> Tensor:
        """Let torch's threads work on x (B, C, H, W) float32; return the new map."""
        contiguous = x.is_contiguous()
        if not contiguous and not x.is_contiguous(memory_format=torch.channels_last):
            x, contiguous = x.contiguous(memory_format=layout(x)), layout(x) is torch.contiguous_format
        team = TEAM_OF_ONE or torch.get_num_threads()
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
    """Make the plan of a task: what MAP names, then sizes, addresses and numbers as its record orders them.

    `scratch` are the counts of floats that are taken of it, for an image and for a thread.
    """
    shared, own = (sum(map(whole_lines, counts)) for counts in scratch)
    integers = (*sizes, *addresses)
    rest = struct.pack(f"{len(integers)}q{len(numbers)}d", *integers, *numbers)
    return Plan(work.address, shared, own, rest)
