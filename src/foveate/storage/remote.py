"""A storage behind a URL, by fsspec: S3 and servers that speak its protocol, Google Cloud Storage, Azure."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foveate.errors import DiskError, RequestError, WorkError, first_line
from foveate.files import write_whole
from foveate.storage.base import Entry

__all__ = ["AZURE", "GOOGLE", "S3", "RemoteStorage", "server_code"]

S3, GOOGLE, AZURE = "s3", "gs", "az"
ONLY_IF_ABSENT: dict[str, dict[str, Any]] = {
    S3: {"mode": "create"},
    GOOGLE: {"mode": "create"},
    AZURE: {"overwrite": False},
}
"""How each backend of fsspec is asked for that."""

COPIED_AT_ONCE = 2**22
"""Bytes of a file that are in memory at a time while it is copied."""
CONFLICTS = 5
"""How often an object is created again that the server refused because of another request at that moment."""


class RemoteStorage:
    """The objects below a URL. Every object is written whole, as object stores do.

    `create` and `mark` are one conditional request (`If-None-Match: *`, or `ifGenerationMatch=0` on Google
    Cloud Storage). `check_writable` makes sure that the server honours it.
    """

    def __init__(self, url: str, system: Any, root: str, kind: str):
        self.url, self._system, self._root, self._kind = url, system, root, kind

    @property
    def place(self) -> str:
        """The URL."""
        return self.url

    @property
    def endpoint(self) -> str:
        """The address of the server, where the file system has one; one URL may exist on several servers."""
        client = getattr(self._system, "s3", None)
        return str(getattr(getattr(client, "meta", None), "endpoint_url", "") or "")

    def read(self, name: str) -> bytes | None:
        """Return the content of an object; None if it is absent."""
        with self._reported(name):
            try:
                content: bytes = self._system.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return content

    def write(self, name: str, content: bytes) -> None:
        """Write an object whole."""
        with self._reported(name):
            self._system.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write an object if it is absent, in one request.

        A request that was repeated because its answer was lost finds its own object: then the content is the
        same, and this call did write it.
        """
        with self._reported(name):
            for attempt in range(CONFLICTS):
                try:
                    self._system.pipe_file(self._path(name), content, **ONLY_IF_ABSENT[self._kind])
                except FileExistsError:
                    return self.read(name) == content
                except OSError as error:
                    code = server_code(error)
                    if code == "PreconditionFailed":
                        return self.read(name) == content
                    if code != "ConditionalRequestConflict" or attempt + 1 == CONFLICTS:
                        raise
                    time.sleep(0.1 * 2**attempt)
                else:
                    return True
        raise AssertionError("the last attempt returned or raised")

    def mark(self, name: str, content: bytes) -> bool:
        """Create an object, as `create` does: here no content is ever seen in parts."""
        return self.create(name, content)

    def overwrite(self, name: str, content: bytes) -> bool:
        """Write an object whole, without looking whether it is there: a lease asks for the newest before."""
        self.write(name, content)
        return True

    def names(self, folder: str) -> Sequence[str]:
        """Return the names of the objects in one folder; none if it is absent."""
        return [
            found["name"].rpartition("/")[2] for found in self._list(folder) if found["type"] != "directory"
        ]

    def _list(self, folder: str) -> list[dict[str, Any]]:
        with self._reported(folder):
            try:
                found: list[dict[str, Any]] = self._system.ls(self._path(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return []
            return found

    def entries(self, folder: str = "") -> Sequence[Entry]:
        """Return the objects below a folder."""
        with self._reported(folder):
            try:
                found = self._system.find(self._path(folder), detail=True, refresh=True)
            except FileNotFoundError:
                return []
        return sorted(
            (self._entry(path, info) for path, info in found.items() if not path.endswith("/")),
            key=lambda entry: entry.name,
        )

    def entry(self, name: str) -> Entry | None:
        """Return what is known of one object; None if it is absent."""
        with self._reported(name):
            try:
                path = self._path(name)
                return self._entry(path, self._system.info(path, refresh=True))
            except FileNotFoundError:
                return None

    def _entry(self, path: str, info: dict[str, Any]) -> Entry:
        version = next((str(info[key]) for key in ("ETag", "etag", "generation") if info.get(key)), "")
        name = path.removeprefix(self._root).removeprefix("/")
        return Entry(name, int(info["size"]), version or str(info.get("LastModified") or info.get("mtime")))

    def delete(self, name: str) -> None:
        """Delete an object if it is there."""
        with self._reported(name):
            try:
                self._system.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def get(self, name: str, path: Path) -> bool:
        """Copy an object to the file at `path`, whole or not at all; return False if it is absent."""
        try:
            with write_whole(path) as file, self._reported(name):
                try:
                    with self._system.open(self._path(name), "rb") as content:
                        shutil.copyfileobj(content, file, COPIED_AT_ONCE)
                except FileNotFoundError as error:
                    raise _AbsentError from error
        except _AbsentError:
            return False
        return True

    def put(self, path: Path, name: str) -> None:
        """Copy the file at `path` to an object."""
        with self._reported(name):
            self._system.put_file(str(path), self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @contextmanager
    def _reported(self, name: str) -> Iterator[None]:
        """Turn what fsspec and the libraries behind it raise, which may be anything, into one sentence."""
        try:
            yield
        except (WorkError, RequestError, _AbsentError):
            raise
        except Exception as error:
            raise DiskError(
                f"cannot use {self._at(name)}: {first_line(error)}. What was finished is kept here: give the "
                "same command again when the storage answers"
            ) from error

    def _at(self, name: str) -> str:
        return f"{self.url}/{name}" if name else self.url


class _AbsentError(Exception):
    """An object that was listed is gone."""


def server_code(error: BaseException) -> str:
    """Return the code with which the server refused; "" if it gave none."""
    response = getattr(error.__cause__, "response", None)
    found = response.get("Error", {}) if isinstance(response, dict) else {}
    code = str(found.get("Code", ""))
    return {"412": "PreconditionFailed", "409": "ConditionalRequestConflict"}.get(code, code)
