"""What a training uses of its machine: the device, and the log. Only for a GPU torch is imported."""

from typing import TYPE_CHECKING, Any, Literal

from foveate.errors import RequestError

if TYPE_CHECKING:
    import torch

__all__ = ["Logs", "found_device", "lightning_device"]

Logs = Literal["none", "csv", "tensorboard"]
"""The kinds of a run's training log."""


def lightning_device(device: str, devices: int = 1) -> dict[str, Any]:
    """Return Lightning's `accelerator` and `devices` for a device name of torch, of which `devices` are used.

    On a CPU these are processes; cuda:N is the first of so many GPUs.
    """
    kind, colon, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise RequestError(f"unknown device {device!r}: expected auto, cpu, cuda, cuda:N or mps")
    first = int(number or 0)
    if kind in ("cuda", "mps"):
        _check_available(device, kind, first)
    if devices == 1:
        return {"accelerator": kind, "devices": [first] if number else 1}
    kind = kind if kind != "auto" else found_device().type
    if kind == "mps":
        raise RequestError(
            f"--devices {devices}: Metal has one device; give --device cpu for processes of it"
        )
    if kind == "cuda":
        _check_number(devices, first)
        return {"accelerator": kind, "devices": list(range(first, first + devices))}
    return {"accelerator": "cpu", "devices": devices}


def found_device() -> "torch.device":
    """Return the device that `auto` stands for: the machine's accelerator, or else its CPU."""
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def _check_number(devices: int, first: int) -> None:
    import torch

    there = torch.cuda.device_count()
    if first + devices > there:
        raise RequestError(
            f"--devices {devices} from cuda:{first} on: torch sees {there} CUDA devices: give --devices "
            f"{max(there - first, 1)} or fewer"
        )


def _check_available(device: str, kind: str, number: int) -> None:
    import torch

    if kind == "cuda" and number >= torch.cuda.device_count():
        raise RequestError(
            f"device {device!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise RequestError("device 'mps' is not available: this torch or this machine has no Metal")
