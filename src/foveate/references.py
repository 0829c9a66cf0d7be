"""Where a person's own class is, mine.py:MyAttention or package.module:MyAttention, and its source code.

The code is read here, and not imported; nothing here imports torch.
"""

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

from foveate.errors import RequestError, unknown_name

__all__ = [
    "EXAMPLE",
    "Reference",
    "Sources",
    "class_name",
    "find_file",
    "is_reference",
    "read_reference",
    "read_sources",
]

EXAMPLE = "mine.py:MyAttention"
MOST_FILES = 200
"""Files beside a class that it may import."""


class Reference(NamedTuple):
    """A class, or a function that builds modules, by its name in a file or a module.

    Attributes:
        place: the path of a file that ends in .py, or the dotted name of a module.
        name: the name in it.
    """

    place: str
    name: str

    @property
    def is_file(self) -> bool:
        """Whether `place` is a file."""
        return self.place.endswith(".py")

    @property
    def short(self) -> str:
        """The reference without the folders of the file, as tables, runs and weight files name it."""
        return f"{Path(self.place).name if self.is_file else self.place}:{self.name}"

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


@dataclass(frozen=True)
class Sources:
    """The source code of a class: its file, and the files beside it that this imports.

    Attributes:
        main: the name of the file that has the class.
        files: the text of each file by its path, with "/", relative to the folder from which it is imported.
    """

    main: str
    files: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of all files and their names; it does not depend on where they are."""
        digest = hashlib.sha256()
        for name, text in sorted(self.files.items()):
            for part in (name, text):
                content = part.encode()
                digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()


def is_reference(name: str) -> bool:
    """Return whether `name` is written as a reference: it has a colon."""
    return ":" in name


def class_name(mechanism: str) -> str:
    """Return the name of the class in the name of a mechanism: MyAttention of mine.py:MyAttention."""
    return mechanism.rpartition(":")[2]


def read_reference(text: str) -> Reference:
    """Read mine.py:MyAttention or package.module:MyAttention; raises RequestError for any other form."""
    place, _, name = text.strip().rpartition(":")
    reference = Reference(place.strip(), name.strip())
    parts = [reference.name] if reference.is_file else [reference.name, *reference.place.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise RequestError(
            f"{text!r} names no class: expected a file and a class in it, such as {EXAMPLE}, or a module "
            "that can be imported, such as package.module:MyAttention"
        )
    return reference


def find_file(reference: Reference) -> Path:
    """Return the source file of `reference`.

    Raises:
        RequestError: there is no such file, or no such module with a source file.
    """
    if reference.is_file:
        path = Path(reference.place).expanduser()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not there"
            raise RequestError(f"{reference}: the file {path} {what}")
        return path.resolve()
    spec = _find_spec(reference)
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise RequestError(f"{reference}: the module {reference.place} has no source file")
    return Path(spec.origin).resolve()


def _find_spec(reference: Reference) -> ModuleSpec:
    here = str(Path.cwd())
    if here not in sys.path:  # it is there for `python`, and not for a command
        sys.path.append(here)
    try:
        spec = importlib.util.find_spec(reference.place)
    except Exception as error:  # a package is imported to find a module in it
        raise RequestError(f"{reference}: {reference.place} cannot be found ({error})") from error
    if spec is None:
        raise RequestError(
            f"{reference}: there is no module {reference.place} to import. A file is named with its ending: "
            f"{reference.place.replace('.', '/')}.py:{reference.name}"
        )
    return spec


def read_sources(reference: Reference) -> Sources:
    """Read the file of `reference`, and all files beside it that it imports.

    Beside a file are the modules in its folder; beside a module are those of its top-level package.

    Raises:
        RequestError: there is no such file, it is not Python, or has no such class.
    """
    main = find_file(reference)
    package = "" if reference.is_file else reference.place.partition(".")[0]
    depth = 0 if reference.is_file else reference.place.count(".") + (main.name == "__init__.py")
    root = main.parents[depth]
    files: dict[str, str] = {}
    waiting = [main]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(root).as_posix()
        if name in files:
            continue
        if len(files) == MOST_FILES:
            raise RequestError(
                f"{reference} imports more than {MOST_FILES} files beside it: put the class into a file of "
                "its own, with what it needs"
            )
        files[name] = _read(path, reference)
        waiting += _imported(_parse(files[name], path, reference), path, root, package)
    _check_name(reference, _parse(files[main.relative_to(root).as_posix()], main, reference))
    return Sources(main.relative_to(root).as_posix(), files)


def _read(path: Path, reference: Reference) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{reference}: {path} cannot be read ({error})") from error


def _parse(text: str, path: Path, reference: Reference) -> ast.Module:
    try:
        return ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        words = error.msg if isinstance(error, SyntaxError) else str(error)
        raise RequestError(f"{reference}: {path}{line} is not valid Python ({words})") from error


def _check_name(reference: Reference, module: ast.Module) -> None:
    """Refuse a name that the file neither defines nor could get by an import of everything."""
    names, is_open = set[str](), False
    for node in ast.walk(module):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
                is_open = is_open or any(alias.name == "*" for alias in aliases)
    if reference.name not in names and not is_open:
        classes = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
        raise RequestError(f"{reference}: {unknown_name('class', reference.name, classes)}")


def _imported(module: ast.Module, path: Path, root: Path, package: str) -> Iterator[Path]:
    """Yield the files under `root` that the module at `path` imports; absolute names only of `package`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(alias.name.split("."), root, package)
        elif isinstance(node, ast.ImportFrom):
            start = root if node.level == 0 else path.parents[node.level - 1]
            base = node.module.split(".") if node.module else []
            if node.level and not start.is_relative_to(root):
                continue
            within = "" if node.level else package
            for alias in node.names:
                yield from _files_of([*base, alias.name], start, within)


def _files_of(names: list[str], start: Path, package: str) -> Iterator[Path]:
    """Yield the file of each module along a dotted name; its last part may be no module."""
    if package and names[0] != package:
        return
    folder = start
    for name in names:
        candidates = (folder / name / "__init__.py", folder / f"{name}.py")
        yield from filter(Path.is_file, candidates)
        folder = folder / name
