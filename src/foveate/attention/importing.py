"""Import a person's own file, with the files beside it, and tell in its own lines what fails in it."""

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from foveate.errors import RequestError
from foveate.references import Reference, Sources

__all__ = ["import_reference", "import_sources", "in_its_lines"]

NOT_OWN = {"foveate", "site-packages", "dist-packages", "importlib"}
"""Folders whose files are not a person's own."""


def import_reference(reference: Reference, file: Path, sources: Sources) -> ModuleType:
    """Import the file or the module of `reference`, whose `sources` were read before.

    Raises RequestError where that fails, or where a module was changed after it was imported.
    """
    if reference.is_file:
        return import_sources(str(reference), file.parent, sources)
    with _refusing(str(reference)):
        return _import_module(reference.place, sources)


@contextmanager
def _refusing(called: str) -> Iterator[None]:
    """Raise RequestError for whatever code of one's own raises while it is imported."""
    try:
        yield
    except RequestError:
        raise
    except (Exception, SystemExit) as error:
        raise RequestError(f"{called} cannot be imported: {in_its_lines(error)}") from error


_digests: dict[str, str] = {}
"""The digests of modules of packages when they were imported."""


def _import_module(name: str, sources: Sources) -> ModuleType:
    module = importlib.import_module(name)
    if _digests.setdefault(name, sources.digest) != sources.digest:
        raise RequestError(f"{name} was changed after this process imported it: start a new process")
    return module


def import_sources(called: str, root: Path, sources: Sources) -> ModuleType:
    """Import the main file of `sources` under `root`, which errors name as `called`.

    A file gets a name of its own, so that files of the same name can be loaded side by side. Raises
    RequestError where that fails.
    """
    with _refusing(called):
        return _import_sources(root, sources)


def _import_sources(root: Path, sources: Sources) -> ModuleType:
    dotted = _dotted(sources.main)
    if "." in dotted:
        with _importing_from(root, sources, is_kept=False):
            return importlib.import_module(dotted)
    name = f"{dotted}_{hashlib.sha256(f'{root} {sources.digest}'.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, root / sources.main)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickle and dataclasses look for it there
    try:
        with _importing_from(root, sources, is_kept=True):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _dotted(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@contextmanager
def _importing_from(root: Path, sources: Sources, *, is_kept: bool) -> Iterator[None]:
    """Let the files of `sources` be imported from `root`, as they are now.

    Modules of the same names that were imported before are hidden meanwhile. The new ones stay where they
    hide none, and if they are to be kept.
    """
    dotted = [_dotted(file).split(".") for file in sources.files]
    names = {".".join(parts[:count]) for parts in dotted for count in range(1, len(parts) + 1)}
    hidden = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(root))
        if not is_kept:
            for name in names:
                sys.modules.pop(name, None)
        sys.modules.update(hidden)


def in_its_lines(error: BaseException) -> str:
    """Return an error with the lines of a person's own files that led to it, the last ones only."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not set(Path(frame.filename).parts) & NOT_OWN
    ]
    lines = [f"    {Path(one.filename).name}, line {one.lineno}: {one.line}" for one in frames[-3:]]
    if isinstance(error, SyntaxError):
        lines.append(
            f"    {Path(error.filename or '').name}, line {error.lineno}: {(error.text or '').strip()}"
        )
    return "\n".join([f"{type(error).__name__}: {error}", *lines])
