"""A mechanism with its options as a person writes it, `dmsca(reduction=8)`, read without running anything."""

import ast
import reprlib
from typing import Any

from foveate.errors import RequestError
from foveate.references import is_reference

__all__ = ["read_call", "shown"]

EXAMPLES = {
    "attention": "dmsca(reduction=8,where=stage)",
    "detector": "fasterrcnn(representation_size=512)",
    "segmenter": "unet",
}
LONGEST_SHOWN = 200
"""An error quotes at most this many characters of a value."""


def read_call(text: str, what: str = "attention") -> tuple[str, dict[str, Any]]:
    """Read `name` or `name(option=value,…)`, options in Python's syntax; a bare word is a string.

    The name can be a reference, mine.py:MyAttention. Raises RequestError for any other form; `what` says what
    the text was to be.
    """
    name, bracket, options = text.strip().partition("(")
    name = name.strip()
    if not bracket:
        return name, {}
    try:
        if not (name.isidentifier() or is_reference(name)):
            raise ValueError(text)
        call = ast.parse(f"mechanism({options}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(text)
        given = [(keyword.arg, _value(keyword.value)) for keyword in call.keywords]
        if any(option is None for option, _ in given):  # **
            raise ValueError(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:  # nested too deeply
        raise RequestError(
            f"{what} {shown(text)}: expected for example {EXAMPLES.get(what, EXAMPLES['attention'])}"
        ) from error
    names = [str(option) for option, _ in given]
    twice = sorted({option for option in names if names.count(option) > 1})
    if twice:
        raise RequestError(f"{what} {shown(text)} gives {', '.join(twice)} more than once: give it once")
    return name, {str(option): value for option, value in given}


def shown(given: object) -> str:
    """Return the representation of `given` for a message, shortened if it is long."""
    return reprlib.repr(given) if len(repr(given)) > LONGEST_SHOWN else repr(given)


def _value(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
