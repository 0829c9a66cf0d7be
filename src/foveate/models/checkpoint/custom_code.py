"""Code of a person's own in a weights file: it is kept as text, and runs only where somebody asks for it."""

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from foveate.attention import MECHANISMS, find_custom, list_attention
from foveate.attention.custom import CustomMechanism, custom_mechanism, load_custom, load_sources
from foveate.errors import RequestError, remedy, unknown_name
from foveate.files import write_text
from foveate.known_names import registered_names
from foveate.models.backbones.preprocessing import expect
from foveate.models.sites.channel_scale import CHANNEL_SCALE
from foveate.notation import listing
from foveate.references import Sources, class_name, is_reference, read_reference

__all__ = ["CustomClass", "find_custom_code", "read_kept_sources"]

CustomClass = str | type[nn.Module] | Callable[..., nn.Module]
"""A reference such as mine.py:MyAttention, or the class itself."""


def find_custom_code(
    path: Path,
    names: Sequence[str],
    kept: Mapping[str, Sources],
    *,
    given: CustomClass | Sequence[CustomClass] | None,
    trust_code: bool,
) -> dict[str, CustomMechanism]:
    """Return the classes of those mechanisms in a file that are not foveate's, by name.

    Args:
        path: the file, for messages.
        names: the mechanisms that the file names.
        kept: the source code that the file holds, by mechanism.
        given: classes of the caller's, which are used for the mechanisms of their name.
        trust_code: run the source code that the file holds.

    Raises:
        RequestError: code would have to be run that nobody asked for, or it cannot be loaded.
    """
    own = [name for name in names if name not in MECHANISMS and name != CHANNEL_SCALE]
    classes = _by_name(given)
    found: dict[str, CustomMechanism] = {}
    refused = []
    for name in own:
        if class_name(name) in classes:
            found[name] = replace(classes[class_name(name)], name=name)
        elif name in registered_names():
            registered = find_custom(name)
            assert registered is not None
            found[name] = registered
        elif trust_code and name in kept:
            found[name] = load_sources(name, kept[name], _unpacked(kept[name]))
        elif is_reference(name) or name in kept:
            refused.append(name)
        else:
            raise RequestError(f"{path}: {_unknown(name)}")
    if refused and classes:
        raise RequestError(
            f"attention= is {listing([one.name for one in classes.values()])}, and {path} was saved with "
            f"{listing(refused)}: pass the class of that name"
        )
    if refused:
        raise RequestError(_refusal(path, refused, kept, trust_code=trust_code))
    return found


def _by_name(given: CustomClass | Sequence[CustomClass] | None) -> dict[str, CustomMechanism]:
    several: list[Any] = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
    found = [
        load_custom(read_reference(one)) if isinstance(one, str) else custom_mechanism(one) for one in several
    ]
    return {class_name(one.name): one for one in found}


def _unknown(name: str) -> str:
    """Say that a name is of no mechanism of foveate, and may be of a function or a class without a file."""
    return (
        f"{unknown_name('attention mechanism', name, list_attention())} If it is a class or a function of "
        "your own, its source was in no file when it was saved: "
    ) + remedy(
        python="pass it as it was attached, as attention=",
        command="load the network in Python, with attention=",
    )


def _refusal(path: Path, names: Sequence[str], kept: Mapping[str, Sources], *, trust_code: bool) -> str:
    what = f"{path} needs the code of {listing(names)}"
    if trust_code or not all(name in kept for name in names):
        return f"{what}, which it does not hold: " + remedy(
            python="pass the class or the function that it was attached with, as attention=",
            command="load it in Python, with attention=",
        )
    digests = ", ".join(f"{name} {kept[name].digest[:12]}" for name in names)
    return (
        f"{what}. It holds the source ({digests}), and code from a file runs only where you ask for it: "
        + remedy(
            python=f"pass trust_code=True to run it, or your own class, as in attention={names[0]!r}",
            command="give --trust-code to run that source",
        )
    )


_folders: dict[str, Path] = {}


def _unpacked(sources: Sources) -> Path:
    """Write the files of `sources` into a folder that only this user can read, and this process uses."""
    if sources.digest not in _folders:
        folder = _own_folder() / sources.digest[:12]
        for name, text in sources.files.items():
            write_text(folder / name, text)
        _folders[sources.digest] = folder
    return _folders[sources.digest]


@lru_cache(maxsize=1)
def _own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="foveate-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def read_kept_sources(given: Any) -> dict[str, Sources]:
    """Read the source code in a description; RequestError for another form, or names that leave a folder."""
    expect(isinstance(given, dict), "sources", given, "an object")
    found = {}
    for name, one in given.items():
        keys = isinstance(one, dict) and set(one) == {"main", "files"} and isinstance(one["files"], dict)
        expect(keys, f"sources of {name}", one, "an object with main and files")
        texts = all(isinstance(text, str) for text in one["files"].values())
        expect(
            texts and one["main"] in one["files"], f"sources of {name}", one, "texts, the main one among them"
        )
        for file in one["files"]:
            parts = PurePosixPath(file)
            inside = not parts.is_absolute() and ".." not in parts.parts and "\\" not in file
            expect(inside and file.endswith(".py"), f"a source of {name}", file, "a .py file within a folder")
        found[name] = Sources(one["main"], one["files"])
    return found
