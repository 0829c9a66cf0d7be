"""Which of the processes that a scheduler started this one is; torch is not imported."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from foveate.errors import RequestError

__all__ = ["Rank", "find_rank"]

TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""The variables that torchrun sets; Ray Train and the jobs of --on slurm, too."""
SLURM = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS")
"""The variables that srun sets."""


@dataclass(frozen=True)
class Rank:
    """The number of a process among all, and among those of its machine."""

    rank: int
    local_rank: int


def find_rank(
    devices: int, nodes: int, variables: Mapping[str, str] = os.environ, *, placed: bool = False
) -> Rank:
    """Return the rank of this process among `devices` on each of `nodes` machines.

    With `placed` a scheduler of --on chose the machines, and may have put more processes on one of them.

    Raises:
        RequestError: no scheduler started this process, or it started another number of processes.
    """
    names = next((names for names in (TORCHRUN, SLURM) if all(name in variables for name in names)), None)
    if names is None:
        raise RequestError(
            f"--nodes {nodes}: no scheduler started this process; those of several machines are started by "
            f"srun (--nodes {nodes} --ntasks-per-node {devices}) or torchrun (--nnodes {nodes} "
            f"--nproc-per-node {devices})"
        )
    rank, local_rank, count = (int(variables[name]) for name in names)
    if count != devices * nodes:
        raise RequestError(
            f"--devices {devices} --nodes {nodes} need {devices * nodes} processes, one a device, and the "
            f"scheduler started {count}"
        )
    if local_rank >= devices and not placed:
        raise RequestError(
            f"--devices {devices} --nodes {nodes}: the scheduler started {local_rank + 1} or more "
            "processes on this machine: give their number as --devices"
        )
    return Rank(rank, local_rank)
