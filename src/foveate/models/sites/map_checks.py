"""Whether attention returns a map like the one that it takes: tried once, or checked while a network runs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.sites.gate import ungated

__all__ = ["WrongMapError", "check_maps", "try_map"]

SIDE = 7
"""Of the map that is tried."""


class WrongMapError(RequestError):
    """Attention does not return a map of the shape and the dtype of the one that it takes."""


@torch.no_grad()
def try_map(module: nn.Module, channels: int, called: str, path: str) -> None:
    """Run a module that was just built on a map of zeros; raise WrongMapError where it returns no such map.

    What else it raises is ignored: a module may take maps of other sizes alone.
    """
    like = next(module.parameters(), torch.empty(0))
    taken = torch.zeros(2, channels, SIDE, SIDE, dtype=like.dtype, device=like.device)
    was_training, output = module.training, taken
    with torch.random.fork_rng(devices=[]), suppress(Exception):
        output = module.eval()(taken)
    module.train(was_training)
    _check(output, taken, called, path)


def check_maps(attention: Mapping[str, nn.Module], called: str) -> None:
    """Let attention, by its path, raise WrongMapError for a wrong output; errors name it as `called`."""
    for path, module in attention.items():
        ungated(module).register_forward_hook(_checking(path.rpartition(".")[0], called))


def _checking(path: str, called: str) -> Callable[..., None]:
    def check(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        _check(output, given[0], called, path)

    return check


def _check(output: Any, taken: Tensor, called: str, path: str) -> None:
    if _like(output) != _like(taken):
        raise WrongMapError(
            f"{called} returns {_in_words(output)} at {path}, where it takes {_in_words(taken)}: expected a "
            "map of the same shape and dtype"
        )


def _like(value: Any) -> Any:
    return (value.shape, value.dtype) if isinstance(value, Tensor) else None


def _in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"
