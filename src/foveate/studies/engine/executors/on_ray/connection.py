"""Connect to a Ray cluster, or start one on this machine."""

import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from foveate.errors import RequestError, WorkError, in_words
from foveate.studies.engine.environment import available_cores

__all__ = ["connect", "import_ray"]

SECONDS_TO_CONNECT = 5.0
STARTS = 4
"""Times that a Ray of this machine is started before that is given up."""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Makes a Ray that is started here listen on 127.0.0.1 alone, as it does on other systems than Linux."""


def import_ray() -> Any:
    """Return the module ray; raises RequestError where it is not installed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        raise RequestError("--on ray needs: pip install 'foveate[ray]'") from error
    return ray


def connect(address: str | None) -> Any:
    """Connect to the cluster at `address`, else to that of RAY_ADDRESS, else to a Ray that is started here.

    Returns:
        the module ray, as it is imported only here.

    Raises:
        RequestError: nothing answers, or the extra is not installed.
        WorkError: Ray could not be started here.
    """
    there = address or os.environ.get("RAY_ADDRESS")
    if there in (None, "local"):
        os.environ |= LOOPBACK  # read when ray is imported
        os.environ.pop("RAY_ADDRESS", None)
        there = None
    ray = import_ray()

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if there is None:
        _start_here(partial(ray.init, "local", num_cpus=available_cores(), include_dashboard=False, **quiet))
        return ray
    _refuse_silent(there)
    try:
        ray.init(address=there, **quiet)
    except Exception as error:  # of many types, those of gRPC among them
        raise RequestError(
            f"the Ray cluster at {there} cannot be used: {in_words(error)}. See that it runs, and has the "
            "same version of Ray as this machine"
        ) from error
    return ray


def _start_here(start: Callable[[], object]) -> None:
    """Start a Ray of this machine; it gives up after 30 s, which is too early on a busy machine."""
    for attempt in range(1, STARTS + 1):
        try:
            start()
        except Exception as error:  # of no type of its own
            if attempt == STARTS:
                raise WorkError(
                    f"Ray could not be started on this machine ({error}). On a busy machine, give the same "
                    "command again; else see whether /tmp and /dev/shm are full, or leave out --on"
                ) from error
        else:
            return


def _refuse_silent(address: str) -> None:
    """Raise RequestError if nothing answers at HOST:PORT; Ray would try for half a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        if address == "auto":
            return
        raise RequestError(f"--on ray://{host or port}: expected a host and a port, as in ray://head:10001")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise RequestError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head` (clients use "
            "port 10001), or leave out the address to use this machine alone"
        ) from error
