"""The tensors in what a network returns, and names for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from foveate.errors import RequestError, shortened
from foveate.torch_private import leaves_by_path

__all__ = ["INPUT", "LOGITS", "check_output_names", "is_list_by_image", "name_outputs", "tensors_in"]

INPUT = "images"
"""The name of the input, which no output can have."""
LOGITS = "logits"
SINGLE = "output"
LISTED = "features"
Path = tuple[str | int, ...]


def tensors_in(answer: Any) -> list[Tensor]:
    """Return the tensors in `answer`, in the order in which torch lists them; None holds no place.

    Raises:
        RequestError: `answer` has something else in it, or no tensor.
    """
    return [tensor for _, tensor in _tensors_by_path(answer)]


def name_outputs(answer: Any) -> tuple[str, ...]:
    """Return a name for each of `tensors_in(answer)`.

    A tensor (B, classes) is "logits", any other single one "output"; those of a list are "features_0",
    "features_1" and so on; those of a dict have its keys, with those of dicts inside of it behind them, and
    their place if they are in a list: {"aux": [a, b]} has "aux_0" and "aux_1". A list that holds one dict is
    named as that dict.

    Raises:
        RequestError: two tensors would have one name; or as `tensors_in` does.
    """
    paths = [path for path, _ in _tensors_by_path(answer)]
    if isinstance(answer, Tensor):
        return (LOGITS if answer.ndim == 2 else SINGLE,)
    if is_list_by_image(answer) and len(answer) == 1:
        paths = [path[1:] for path in paths]
    names = tuple(map(_name, paths))
    if len(set(names)) < len(names) or INPUT in names:
        raise RequestError(f"the outputs would be called {', '.join(names)}: name them with output_names=[…]")
    return names


def check_output_names(given: Sequence[str], derived: Sequence[str]) -> None:
    """Raise RequestError unless `given` are names for the outputs that are called `derived` by default."""
    names = list(given) if not isinstance(given, str) else [given]
    if len(names) != len(derived):
        raise RequestError(
            f"output_names has {len(names)} names ({shortened(names)}) for {len(derived)} outputs: name each "
            f"of {', '.join(derived)}, in that order"
        )
    valid = all(isinstance(name, str) and name for name in names) and INPUT not in names
    if not valid or len(set(names)) < len(names):
        raise RequestError(
            f"output_names is {names}: expected names that differ from each other and from {INPUT!r}"
        )


def is_list_by_image(answer: Any) -> bool:
    """Return whether `answer` is a list of dicts, as a detector returns one for each image."""
    listed = isinstance(answer, list | tuple) and len(answer) > 0
    return listed and all(isinstance(one, Mapping) for one in answer)


def _tensors_by_path(answer: Any) -> list[tuple[Path, Tensor]]:
    leaves = [(path, leaf) for path, leaf in leaves_by_path(answer) if leaf is not None]
    for path, leaf in leaves:
        if not isinstance(leaf, Tensor):
            place = f" at {'.'.join(map(str, path))}" if path else ""
            raise RequestError(
                f"the network returns a {type(leaf).__name__}{place}: expected a tensor, or tensors in "
                "lists, tuples and dicts"
            )
    if not leaves:
        raise RequestError(f"the network returns no tensor ({type(answer).__name__})")
    return leaves


def _name(path: Path) -> str:
    words = [step for step in path if isinstance(step, str)]
    numbers = [str(step) for step in path if isinstance(step, int)]
    return "_".join([*(words or [LISTED]), *numbers])
