"""Whether attention returns a map like the one that it takes, checked at each site while a network runs."""

from typing import Any

from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.sites.attach import IdentityGate, attached

__all__ = ["WrongMapError", "check_maps"]


class WrongMapError(RequestError):
    """Attention does not return a map of the shape and the dtype of the one that it takes."""


def check_maps(model: nn.Module, called: str) -> None:
    """Let all attention in `model`, which errors name as `called`, raise WrongMapError for a wrong output."""
    for path, module in attached(model).items():
        mechanism = module.mechanism if isinstance(module, IdentityGate) else module
        assert isinstance(mechanism, nn.Module)
        mechanism.register_forward_hook(_checking(path.rpartition(".")[0], called))


def _checking(path: str, called: str) -> Any:
    def check(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        taken = given[0]
        if _like(output) != _like(taken):
            raise WrongMapError(
                f"{called} returns {_in_words(output)} at {path}, where it takes {_in_words(taken)}: "
                "expected a map of the same shape and dtype"
            )

    return check


def _like(value: Any) -> Any:
    return (value.shape, value.dtype) if isinstance(value, Tensor) else None


def _in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "nothing" if value is None else f"a {type(value).__name__}"
