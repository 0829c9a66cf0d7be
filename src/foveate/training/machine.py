"""What a training uses of its machine: the device, and the log. Only for a GPU torch is imported."""

from typing import Any, Literal

from foveate.errors import RequestError

__all__ = ["Logs", "lightning_device"]

Logs = Literal["none", "csv", "tensorboard"]
"""The kinds of a run's training log."""


def lightning_device(device: str) -> dict[str, Any]:
    """Return Lightning's `accelerator` and `devices` for a device name of torch."""
    kind, colon, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise RequestError(f"unknown device {device!r}: expected auto, cpu, cuda, cuda:N or mps")
    if kind in ("cuda", "mps"):
        _check_available(device, kind, int(number or 0))
    return {"accelerator": kind, "devices": [int(number)] if number else 1}


def _check_available(device: str, kind: str, number: int) -> None:
    import torch

    if kind == "cuda" and number >= torch.cuda.device_count():
        raise RequestError(
            f"device {device!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise RequestError("device 'mps' is not available: this torch or this machine has no Metal")
