"""YAML that a person or a file gives: read, or refused in a sentence, whatever is in it.

What can make a reader fail is refused before any value is built: aliases that multiply, a list in itself,
deep nesting, a key given twice, and a key that YAML 1.1 takes for something else than a name.
"""

from pathlib import Path
from typing import Any

import yaml

from foveate.errors import RequestError

__all__ = ["parse_yaml", "read_yaml"]

LONGEST = 1 << 20
"""Characters of a file: a study file has some hundred, a mapping of ImageNet's classes 50,000."""
MOST_VALUES = 100_000
"""Values, each counted as often as aliases repeat it."""
DEEPEST = 32
TAG = "tag:yaml.org,2002:"
KINDS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}


def read_yaml(path: Path, *, names_only: bool = False) -> Any:
    """Return what is in the YAML (or JSON) file at `path`; `names_only` takes every key and value as text.

    Raises:
        RequestError: the file cannot be read, or is not YAML in the sense of this module.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not YAML: {error}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > LONGEST:
        raise RequestError(f"{path} has more than {LONGEST:,} characters: expected a YAML file of settings")
    try:
        return parse_yaml(text, names_only=names_only)
    except RequestError as error:
        raise RequestError(f"{path} {error}") from error


def parse_yaml(text: str, *, names_only: bool = False) -> Any:
    """Return the value that `text` has as YAML; `names_only` takes every key and value in it as text.

    Raises:
        RequestError: `text` is not YAML, or has what this module refuses.
    """
    try:
        return yaml.load(text, _Names if names_only else _Values)  # both are safe loaders
    except RecursionError as error:
        raise RequestError(f"is nested too deeply: expected at most {DEEPEST} levels") from error
    except RequestError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a date or a number that cannot be
        raise RequestError(f"is not YAML: {error}") from error


class _Names(yaml.loader.BaseLoader):
    """Every scalar is text."""

    def get_single_node(self) -> Any:
        """Compose the document, and check it before anything is built of it."""
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node


class _Values(yaml.SafeLoader):
    """Plain values, by the rules of YAML 1.1."""

    def get_single_node(self) -> Any:
        """Compose the document, and check it before anything is built of it."""
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
            _check_keys(node, set())
        return node


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return how many values `node` stands for, aliases repeated, and how deep they are nested."""
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise RequestError(
                f"contains itself{_place(node)}: an alias names a list or mapping it stands in"
            )
        return measured
    known[id(node)] = None
    count, depth = 1, 0
    for child in _children(node):
        values, below = _measure(child, known)
        count, depth = count + values, max(depth, below + 1)
    if isinstance(node, yaml.MappingNode):
        _refuse_repeated_keys(node)
    if count > MOST_VALUES:
        raise RequestError(f"stands for more than {MOST_VALUES:,} values, aliases repeated: write fewer")
    if depth > DEEPEST:
        raise RequestError(f"is nested more than {DEEPEST} levels deep{_place(node)}")
    known[id(node)] = count, depth
    return count, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != f"{TAG}merge":
            if key.value in seen:
                raise RequestError(f"gives {key.value!r} twice{_place(key)}: give it once")
            seen.add(key.value)


def _check_keys(node: yaml.Node, seen: set[int]) -> None:
    """Refuse keys that are read as something else than the name that stands there."""
    if id(node) in seen:
        return
    seen.add(id(node))
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        kind = key.tag.removeprefix(TAG)
        if isinstance(key, yaml.ScalarNode) and kind not in ("str", "merge"):
            raise RequestError(
                f"has the key {key.value}{_place(key)}, which YAML reads as {KINDS.get(kind, f'a {kind}')}: "
                f'put the name in quotes, "{key.value}"'
            )
    for child in _children(node):
        _check_keys(child, seen)


def _place(node: yaml.Node) -> str:
    return f" (line {node.start_mark.line + 1})" if node.start_mark is not None else ""
