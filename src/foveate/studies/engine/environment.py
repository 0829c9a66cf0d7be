"""The environment of a result: versions, hardware, command."""

import os
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from foveate.errors import RequestError
from foveate.version import __version__

if TYPE_CHECKING:
    import torch

    from foveate.records.environment import Environment

__all__ = [
    "available_cores",
    "check_threads",
    "command_line",
    "describe_environment",
    "processor",
    "without_password",
]

MOST_THREADS = 256
"""Allowed on any machine, so that a study can be resumed with its threads on one with fewer cores."""


def describe_environment(device: "torch.device", threads: int) -> "Environment":
    """Return the versions and the hardware of this process."""
    import torch

    from foveate.records.environment import Environment

    versions = {name: metadata.version(name) for name in ("torch", "torchvision", "timm", "lightning")}
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Environment(
        foveate=__version__,
        python=platform.python_version(),
        **versions,
        platform=platform.platform(),
        processor=processor(),
        cores=available_cores(),
        threads=threads,
        accelerator=accelerator,
    )


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(flag: str, number: int) -> None:
    """Raise RequestError if `number` threads or processes are too many for this machine's cores.

    If the system refuses to start a thread, OpenMP ends the process.
    """
    most = max(MOST_THREADS, 4 * available_cores())
    if number > most:
        raise RequestError(
            f"{flag} {number}: expected at most {most} on a machine of {available_cores()} cores"
        )


def command_line() -> str:
    """Return the command that started this process, without the passwords in its URLs."""
    return shlex.join([Path(sys.argv[0]).name, *map(without_password, sys.argv[1:])])


def without_password(text: str) -> str:
    """Return `text` with *** in place of the user part and the query of each URL."""
    text = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    return re.sub(r"(://[^\s?]*)\?\S+", r"\1?***", text)


def processor() -> str:
    """Return the name of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
