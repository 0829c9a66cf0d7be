"""Which modules a name, an ending of names or a regular expression means, for `at=` and `exclude=`."""

import difflib
import re
from collections.abc import Collection, Iterable

from torch import nn

from foveate.errors import RequestError
from foveate.models.sites.insertion import CHILD, has_attention

__all__ = ["expand", "inside", "paths_of"]

NEAREST = 4


def paths_of(model: nn.Module) -> list[str]:
    """Return the paths of the modules of `model`, those inside of attached attention excluded."""
    modules = dict(model.named_modules(remove_duplicate=False))
    own = [f"{path}.{CHILD}".lstrip(".") for path, module in modules.items() if has_attention(module)]
    return [path for path in modules if not inside(path, own)] if own else list(modules)


def expand(patterns: Iterable[str], paths: Collection[str], model: str) -> list[str]:
    """Return the paths that `patterns` mean, each path that a pattern finds once.

    A pattern is the first of these that finds something: the path of a module; the ending of paths, such as
    "conv3" or "1.bn2", at a dot; a regular expression that matches whole paths.

    Raises RequestError, with the nearest names, for a pattern that finds nothing in the network `model`.
    """
    found: list[str] = []
    for pattern in patterns:
        if pattern in paths:
            found.append(pattern)  # twice, where it is given twice
        else:
            found += [path for path in _matching(pattern, paths, model) if path not in found]
    return found


def inside(path: str, around: Collection[str]) -> bool:
    """Return whether `path` is one of `around`, or lies in one of them."""
    steps = path.split(".")
    return "" in around or any(".".join(steps[:count]) in around for count in range(1, len(steps) + 1))


def _matching(pattern: str, paths: Collection[str], model: str) -> list[str]:
    if pattern and (ending := [path for path in paths if path.endswith(f".{pattern}")]):
        return ending
    try:
        whole = re.compile(pattern)
    except re.error as error:
        raise RequestError(
            f"{pattern!r} is no module of {model}, no ending of one, and no regular expression: {error}. "
            + _nearest(pattern, paths)
        ) from None
    if matched := [path for path in paths if path and whole.fullmatch(path)]:
        return matched
    raise RequestError(
        f"unknown module of {model} {pattern!r}: it is no path of a module, no ending of one, and as a "
        f"regular expression it matches no whole path. {_nearest(pattern, paths)}"
    )


def _nearest(pattern: str, paths: Collection[str]) -> str:
    """Name the nearest paths and endings, or else the first paths."""
    words = re.sub(r"[\\^$?*+|()\[\]{}]", "", pattern)  # of a regular expression, what is a name in it
    known = {path for path in paths if path}
    names = known | {path.rpartition(".")[2] for path in known if not path.rpartition(".")[2].isdigit()}
    near = difflib.get_close_matches(words, sorted(names), n=NEAREST, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    return f"Modules are for example {', '.join(sorted(known)[:NEAREST])}."
