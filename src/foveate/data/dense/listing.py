"""The files of folders, each folder listed once: a set has many more files than folders."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from foveate.data.tree import is_image
from foveate.errors import RequestError, shortened

__all__ = ["Folders", "refuse_missing"]


class Folders:
    """The names of the files in folders, which are read when they are first asked for."""

    def __init__(self) -> None:
        self._known: dict[Path, frozenset[str]] = {}

    def names(self, folder: Path) -> frozenset[str]:
        """Return the names of everything in a folder; none if it is not there.

        Raises:
            RequestError: the folder cannot be read.
        """
        if folder not in self._known:
            try:
                found = frozenset(path.name for path in folder.iterdir())
            except (FileNotFoundError, NotADirectoryError, ValueError):  # a zero byte or half a character
                found = frozenset()
            except OSError as error:
                raise RequestError(f"the folder {folder} cannot be read: {error.strerror}") from error
            self._known[folder] = found
        return self._known[folder]

    def images(self, folder: Path) -> list[str]:
        """Return the sorted names of the images in a folder, without hidden ones."""
        return sorted(name for name in self.names(folder) if is_image(name) and not name.startswith("."))

    def find(self, base: Path, names: Iterable[str]) -> list[Path | None]:
        """Return the file of each name, a path below `base` with forward slashes, or None."""
        folders: dict[str, Path] = {}
        found: list[Path | None] = []
        for name in names:
            above, _, last = name.rpartition("/")
            folder = folders.setdefault(above, base / above)
            found.append(folder / last if last in self.names(folder) else None)
        return found

    def unused(self, used: Iterable[Path]) -> list[str]:
        """Return the sorted names of images that lie beside those of `used` and are not among them."""
        by_folder: dict[Path, set[str]] = {}
        for path in used:
            by_folder.setdefault(path.parent, set()).add(path.name)
        return sorted(
            name for folder, names in by_folder.items() for name in self.images(folder) if name not in names
        )


def refuse_missing(source: str, names: Sequence[str], found: Sequence[Path | None], where: str) -> list[Path]:
    """Return the files that were found for `names`, which `source` lists.

    Raises:
        RequestError: some are missing; `where` says where they were looked for.
    """
    if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
        raise RequestError(
            f"{source} lists {len(missing):,} of {len(names):,} images that are not there: "
            f"{shortened(missing)}. They were looked for in {where}: add them, or remove them from the list"
        )
    return [path for path in found if path is not None]
