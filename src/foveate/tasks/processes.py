"""The processes that train one network together, one a device, and what they tell each other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

__all__ = ["ALONE", "Processes"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train one network, by default the only one.

    Its methods are collective: every process must call them in the same order. With one process they return
    what they are given. With several, torch's default process group must have been joined.

    Attributes:
        rank: number of this process, from 0; the first writes files and tests.
        local_rank: its number on its machine, from 0.
        devices: processes on each machine.
        nodes: machines.
    """

    rank: int = 0
    local_rank: int = 0
    devices: int = 1
    nodes: int = 1

    @property
    def count(self) -> int:
        """The number of processes."""
        return self.devices * self.nodes

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and tests."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of the tensors of all processes, of one shape."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank."""
        if self.count == 1:
            return [value]
        values: list[Value] = [value] * self.count
        distributed.all_gather_object(values, value)
        return values

    def decided_by_first(self, decision: bool) -> bool:
        """Return the decision of the first process."""
        return self.gather(decision)[0]

    @torch.no_grad()
    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite each of the tensors with that of the first process."""
        if self.count == 1:
            return
        for tensor in tensors:
            whole = tensor.contiguous()
            distributed.broadcast(whole, 0)
            if whole is not tensor:
                tensor.copy_(whole)


ALONE = Processes()
"""A training in one process."""
