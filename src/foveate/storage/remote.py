"""A storage behind a URL, by fsspec: S3 and servers that speak its protocol, Google Cloud Storage, Azure."""

import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foveate.errors import DiskError, RequestError, WorkError, first_line, unknown_name
from foveate.files import write_whole
from foveate.storage.base import Entry

__all__ = ["RemoteStorage", "check_writable", "open_remote"]

S3, GOOGLE, AZURE = "s3", "gs", "az"
EXCLUSIVE = {"s3": S3, "s3a": S3, "gs": GOOGLE, "gcs": GOOGLE, "az": AZURE, "abfs": AZURE}
"""Schemes whose servers create an object only if it is absent, in one step."""
PACKAGES = {S3: "pip install 'foveate[s3]'", GOOGLE: "pip install gcsfs", AZURE: "pip install adlfs"}
ONLY_IF_ABSENT: dict[str, dict[str, Any]] = {
    S3: {"mode": "create"},
    GOOGLE: {"mode": "create"},
    AZURE: {"overwrite": False},
}
"""How each backend of fsspec is asked for that."""

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 2
"""How long an S3 server may take to be reached and to answer, and how often botocore tries by itself."""
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
                    code = _code(error)
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


def _code(error: BaseException) -> str:
    """Return the code with which the server refused; "" if it gave none."""
    response = getattr(error.__cause__, "response", None)
    found = response.get("Error", {}) if isinstance(response, dict) else {}
    code = str(found.get("Code", ""))
    return {"412": "PreconditionFailed", "409": "ConditionalRequestConflict"}.get(code, code)


def open_remote(url: str) -> RemoteStorage:
    """Open the storage at `url`, and see that it answers.

    Raises:
        RequestError: an unknown scheme, a backend that is not installed or cannot create exclusively, an
            address that does not answer, no right to list, or no such bucket.
    """
    scheme, _, rest = url.partition("://")
    _refuse_secrets(url, rest)
    kind = _known_scheme(scheme, url)
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if kind == S3:
        own = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})  # FSSPEC_S3_CONFIG_KWARGS
        patience = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS}
        options["config_kwargs"] = {**patience, "retries": {"max_attempts": ATTEMPTS}, **own}
    try:
        system, root = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        raise RequestError(f"{url} needs a package: {PACKAGES[kind]} ({first_line(error)})") from error
    storage = RemoteStorage(url, system, root.rstrip("/"), kind)
    try:
        storage.names("")
    except Exception as error:
        raise RequestError(_refusal(storage, error)) from error
    return storage


def check_writable(storage: RemoteStorage) -> None:
    """Create an object twice and delete it: the second time must fail.

    Raises:
        RequestError: no right to write there, no such bucket, or a server that creates an object twice.
    """
    name = f".foveate-{uuid.uuid4().hex}"
    try:
        is_first, is_second = storage.create(name, b"1"), storage.create(name, b"2")
        storage.delete(name)
    except Exception as error:
        raise RequestError(_refusal(storage, error)) from error
    if not is_first or is_second:
        raise RequestError(
            f"{storage.url}: its server ignores If-None-Match, so two processes could write one result: "
            "update the server, or give a folder where it is mounted"
        )


def _refuse_secrets(url: str, rest: str) -> None:
    """Refuse passwords and queries in a URL: it is written into records, and shown."""
    if "@" in rest.partition("/")[0] or "?" in rest or "#" in rest:
        scheme = url.partition("://")[0]
        raise RequestError(
            f"{scheme}://… : expected a URL of bucket and folder without user, password or query: give "
            "credentials in the environment (AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL)"
        )
    if not rest.strip("/").partition("/")[2]:
        raise RequestError(f"{url}: expected a bucket and a folder in it, such as s3://bucket/study")


def _known_scheme(scheme: str, url: str) -> str:
    """Return the kind of a scheme, or refuse one that cannot keep a study."""
    if scheme in EXCLUSIVE:
        return EXCLUSIVE[scheme]
    from fsspec import available_protocols

    if scheme not in available_protocols():
        raise RequestError(f"{url}: {unknown_name('scheme', scheme, EXCLUSIVE)}")
    raise RequestError(
        f"{url}: fsspec's {scheme}:// cannot create a file only if it is absent, so that two processes could "
        f"write one result: give a URL of {', '.join(EXCLUSIVE)}, or the folder where that file system is "
        "mounted"
    )


def _refusal(storage: RemoteStorage, error: BaseException) -> str:
    """Say what is wrong with a storage that could not be tried, and what to do."""
    causes: list[BaseException] = [error]
    while (inner := causes[-1].__cause__ or causes[-1].__context__) is not None and inner not in causes:
        causes.append(inner)
    names = {type(cause).__name__ for cause in causes}
    if names & {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"}:
        why = (
            "no credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "(docs/clusters.md)"
        )
    elif any(isinstance(cause, PermissionError) for cause in causes):
        why = (
            "these credentials have no right to list, read, write and delete there: ask the bucket's owner, "
            "or set AWS_PROFILE to others"
        )
    elif any(_code(cause) == "NoSuchBucket" or isinstance(cause, FileNotFoundError) for cause in causes):
        why = "there is no such bucket: create it, or correct the name"
    elif any(isinstance(cause, ConnectionError | TimeoutError) for cause in causes) or any(
        "Connect" in name or "Endpoint" in name or "Timeout" in name for name in names
    ):
        why = (
            f"{storage.endpoint or 'its server'} does not answer: check the network and the address "
            "(AWS_ENDPOINT_URL)"
        )
    else:
        why = f"it cannot be used ({first_line(error)})"
    return f"{storage.url}: {why}"
