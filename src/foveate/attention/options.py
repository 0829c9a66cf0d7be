"""Checks of the options that several mechanisms share: counts, kernel sizes, the width of a bottleneck."""

from foveate.errors import RequestError


def check_count(name: str, value: int) -> int:
    """Return `value` if it is a whole number of at least 1, else raise RequestError."""
    if not isinstance(value, int) or value < 1:
        raise RequestError(f"{name} must be a whole number of at least 1, got {value!r}")
    return value


def check_kernel_size(name: str, value: int) -> int:
    """Return `value` if it is an odd whole number: an even kernel would change the size of the map."""
    if check_count(name, value) % 2 == 0:
        raise RequestError(
            f"{name} must be odd to keep the map's size, got {value}: pass {value - 1} or {value + 1}"
        )
    return value


def hidden_channels(channels: int, reduction: int) -> int:
    """Return the width C/r of a bottleneck over `channels` channels."""
    if check_count("reduction", reduction) > check_count("channels", channels):
        raise RequestError(
            f"reduction={reduction} leaves nothing of {channels} channels: pass reduction <= {channels}"
        )
    return channels // reduction
