"""Read untrusted YAML: every input gives a value or a RequestError.

These are refused before any value is built: aliases that expand to too many values, a list that contains
itself, deep nesting, duplicate keys, and keys that YAML 1.1 does not read as strings.
"""

from pathlib import Path
from typing import Any

import yaml

from foveate.errors import RequestError

__all__ = ["parse_yaml", "read_yaml"]

LONGEST = 1 << 20
"""Maximum characters of a file: a study file has some hundred, a mapping of ImageNet's classes 50,000."""
MOST_VALUES = 100_000
"""Maximum number of values, with aliases expanded."""
DEEPEST = 32
TAG = "tag:yaml.org,2002:"
KINDS = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}


def read_yaml(path: Path, *, names_only: bool = False) -> Any:
    """Return the content of a YAML (or JSON) file; `names_only` reads all keys and values as text.

    Raises:
        RequestError: the file cannot be read, is not YAML, or has what this module refuses.
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
    """Return the value of the YAML in `text`; `names_only` reads all keys and values as text.

    Raises:
        RequestError: `text` is not YAML, or has what this module refuses.
    """
    try:
        return yaml.load(text, _Names if names_only else _Values)  # both are safe loaders
    except RecursionError as error:
        raise RequestError(f"is nested too deeply: expected at most {DEEPEST} levels") from error
    except RequestError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # an impossible date or number
        raise RequestError(f"is not YAML: {error}") from error


class _Names(yaml.loader.BaseLoader):
    """Loader that reads every scalar as text."""

    def get_single_node(self) -> Any:
        """Compose the document, and check it before any value is built from it."""
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
        return node


class _Values(yaml.SafeLoader):
    """Loader that reads values by the rules of YAML 1.1."""

    def get_single_node(self) -> Any:
        """Compose the document, and check it before any value is built from it."""
        node = super().get_single_node()
        if node is not None:
            _measure(node, {})
            _check_keys(node, set())
        return node


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """Return how many values `node` has with aliases expanded, and how deep they are nested."""
    if id(node) in known:
        measured = known[id(node)]
        if measured is None:
            raise RequestError(
                f"contains itself{_place(node)}: an alias refers to the list or mapping around it"
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
        raise RequestError(f"has more than {MOST_VALUES:,} values with aliases expanded: write fewer")
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
    """Refuse keys that YAML does not read as strings."""
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
