"""Join the process group of the processes that train one network."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import distributed

from foveate.tasks.processes import Processes

__all__ = ["LOOPBACK", "TIMEOUT", "joined_group", "store_on_loopback", "through_loopback"]

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others. One that ends is noticed at once; this is for one that hangs, and
longer than a first compilation, a large checkpoint or the evaluation of a part takes."""

LOOPBACK = "127.0.0.1"


def store_on_loopback(port: int = 0) -> distributed.TCPStore:
    """Return a store that listens on 127.0.0.1 alone; torch's own socket would listen on every interface.

    Port 0 is any that is free.
    """
    with socket.create_server((LOOPBACK, port)) as listening:
        return distributed.TCPStore(
            LOOPBACK,
            listening.getsockname()[1],
            is_master=True,
            wait_for_workers=False,
            timeout=TIMEOUT,
            master_listen_fd=os.dup(listening.fileno()),  # the store closes its own
        )


@contextmanager
def joined_group(processes: Processes, store: distributed.Store, device: torch.device) -> Iterator[None]:
    """Be one of the processes that meet at `store`: by NCCL on CUDA devices, by gloo elsewhere.

    A process group that was joined before, as Ray Train does, is used and stays.
    """
    if distributed.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    hook = sys.excepthook  # torch's names the rank in each line of a traceback, and stays
    with through_loopback() if processes.nodes == 1 else nullcontext():
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=processes.rank,
            world_size=processes.count,
            timeout=TIMEOUT,
        )
    try:
        yield
    finally:
        distributed.destroy_process_group()
        sys.excepthook = hook


@contextmanager
def through_loopback() -> Iterator[None]:
    """Let gloo use the loopback interface, on which no firewall and no name of the machine can interfere."""
    name, value = "GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo"
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
