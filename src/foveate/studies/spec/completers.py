"""Values that a shell completes for the flags that take names; none of them imports torch.

Each completer is called with what cyclopts knows of the command line when the Tab key is pressed, and returns
all values; the shell keeps those that begin as the word does.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Protocol, get_args

from cyclopts import Parameter

from foveate.data.source import DIGITS
from foveate.known_names import mechanism_names, names_in_table
from foveate.records.labels import BASELINE
from foveate.training.recipe_keys import RECIPE_KEYS

__all__ = [
    "Completer",
    "Device",
    "backbone_names",
    "backbones",
    "data_sets",
    "mechanism",
    "mechanisms",
    "mechanisms_and_baseline",
    "one_of",
    "place",
    "recipe_keys",
    "recipe_words",
    "recipes",
    "several_of",
    "study_words",
    "trained",
]


class Typed(Protocol):
    """What cyclopts knows of the command line; `incomplete` is the word to complete."""

    @property
    def incomplete(self) -> str:
        """The word, as far as it is typed."""
        ...


Completer = Callable[[Typed], list[str]]
Device = Annotated[str, Parameter(completer=lambda context: ["auto", "cpu", "cuda", "mps"])]
"""A flag that takes the name of a device."""


def one_of(names: Iterable[str]) -> Completer:
    """Return a completer for a flag that takes one of `names`."""
    values = list(names)
    return lambda context: values


def several_of(names: Iterable[str]) -> Completer:
    """Return a completer for a flag that takes some of `names`, separated by commas."""
    values = list(names)
    return lambda context: _after_comma(context.incomplete, values)


def mechanism(context: Typed) -> list[str]:
    """Return the names of all mechanisms."""
    return list(mechanism_names())


def mechanisms(context: Typed) -> list[str]:
    """Complete the last of several mechanisms."""
    return _after_comma(context.incomplete, mechanism_names())


def mechanisms_and_baseline(context: Typed) -> list[str]:
    """Complete the last of several mechanisms, of which one may be the baseline."""
    return _after_comma(context.incomplete, [BASELINE, *mechanism_names()])


def backbones(context: Typed) -> list[str]:
    """Complete the last of several backbones."""
    return _after_comma(context.incomplete, backbone_names(context))


def backbone_names(context: Typed) -> list[str]:
    """Return the names of the backbones in the table, whichever timm is installed."""
    from foveate.models.backbones.names import TORCHVISION, registered_names

    known = names_in_table()
    return [*known.timm, *registered_names(), *(TORCHVISION + name for name in known.torchvision)]


def recipes(context: Typed) -> list[str]:
    """Return the names of foveate's recipes, and the YAML files that the word may become."""
    from foveate.training.recipe import named_recipes

    files = [str(path) for path in _paths(context.incomplete) if path.suffix in (".yaml", ".yml")]
    return [*named_recipes(), *_folders(context.incomplete), *files]


def recipe_keys(context: Typed) -> list[str]:
    """Return the keys of a recipe, each with the equals sign that its value follows."""
    return [f"{key}=" for key in RECIPE_KEYS]


def place(context: Typed) -> list[str]:
    """Return the folders that the word may become; a URL becomes nothing."""
    return _folders(context.incomplete)


def trained(context: Typed) -> list[str]:
    """Return the folders and the files of weights that the word may become."""
    files = [str(path) for path in _paths(context.incomplete) if path.suffix == ".safetensors"]
    return [*_folders(context.incomplete), *files]


def study_words(key: str) -> Completer:
    """Return a completer for a key of a study that takes one of a few words."""

    def words(context: Typed) -> list[str]:
        from foveate.studies.spec.study import StudySpec

        return _words(StudySpec.model_fields[key].annotation)

    return words


def recipe_words(key: str) -> Completer:
    """Return a completer for a key of a recipe that takes one of a few words."""

    def words(context: Typed) -> list[str]:
        from foveate.training.recipe import Recipe

        return _words(Recipe.model_fields[key].annotation)

    return words


def data_sets(context: Typed) -> list[str]:
    """Return the embedded data set, and the folders that the word may become."""
    return [DIGITS, *_folders(context.incomplete)]


def _words(kind: object) -> list[str]:
    """Return the words of a Literal, or of the one in a union."""
    return [word for part in get_args(kind) for word in ([part] if isinstance(part, str) else _words(part))]


def _after_comma(word: str, names: Iterable[str]) -> list[str]:
    before = "".join(word.rpartition(",")[:2])
    return [before + name for name in names]


def _folders(word: str) -> list[str]:
    return [f"{path}/" for path in _paths(word) if path.is_dir()]


def _paths(word: str) -> list[Path]:
    """Return what lies in the folder that `word` begins with."""
    folder = Path(word if word.endswith("/") else Path(word).parent)
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
