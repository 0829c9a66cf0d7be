"""The promises of the contract: what they say and what needs them. Imports neither torch nor pydantic."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foveate.errors import RequestError, unknown_name

if TYPE_CHECKING:
    from foveate.records.check import NeededFor

__all__ = ["PROMISES", "Promise", "check_names"]


@dataclass(frozen=True)
class Promise:
    """What is promised, and what fails without it; a slow promise takes seconds."""

    title: str
    needed_for: "NeededFor"
    is_slow: bool = False


PROMISES: dict[str, Promise] = {
    "shape": Promise("maps keep their shape", "training"),
    "odd_maps": Promise("1×1 maps and odd maps are taken", "training"),
    "batch_of_one": Promise("a batch of one trains", "training"),
    "dtype": Promise("maps keep their dtype", "training"),
    "device": Promise("maps keep their device, whichever it is", "training"),
    "memory_format": Promise("maps keep their memory format", "comfort"),
    "channels_last": Promise("channels_last gives the same output", "training"),
    "batch_independent": Promise("images do not influence each other in eval", "training"),
    "deterministic": Promise("eval gives the same output twice", "training"),
    "input_unchanged": Promise("the input is left unchanged", "training"),
    "in_torch": Promise("the forward stays within torch", "training"),
    "gradients": Promise("every parameter learns", "training"),
    "gradcheck": Promise("gradients agree with finite differences", "training"),
    "bounded": Promise("the output grows no faster than the input", "comfort"),
    "finite_full": Promise("finite at 1e4 in float64 and float32", "training"),
    "finite_bfloat16": Promise("finite at 1e4 in bfloat16", "shipping"),
    "finite_float16": Promise("finite at 1e4 in float16", "shipping"),
    "finite_autocast": Promise("finite at 1e4 under autocast", "training"),
    "identity": Promise("behind an identity gate: starts as x, then learns", "training"),
    "checkpointing": Promise("activation checkpointing gives the same gradients", "training"),
    "deepcopy": Promise("a deep copy gives the same output", "training"),
    "pickle": Promise("a pickled copy gives the same output", "comfort"),
    "state_dict": Promise("the state dict carries all that was learned", "shipping"),
    "compile": Promise("torch.compile takes it as one graph", "shipping", is_slow=True),
    "export": Promise("torch.export takes it, for any batch and size", "shipping", is_slow=True),
    "onnx": Promise("ONNX gives the same output in onnxruntime", "shipping", is_slow=True),
    "parallel": Promise("two processes (DDP) share the mean gradient", "training", is_slow=True),
}
"""In the order in which they are checked: what is fast and tells most comes first."""


def check_names(names: Iterable[str]) -> None:
    """Raise RequestError for a name that is of no promise; the nearest, and all of them, are named."""
    for name in names:
        if name not in PROMISES:
            raise RequestError(unknown_name("promise", name, PROMISES, show=len(PROMISES)))
