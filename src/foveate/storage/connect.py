"""Open a storage behind a URL, or say in one sentence why it cannot keep a study."""

import uuid
from typing import Any

from foveate.errors import RequestError, first_line, unknown_name
from foveate.storage.remote import AZURE, GOOGLE, S3, RemoteStorage, server_code

__all__ = ["check_writable", "open_remote"]

EXCLUSIVE = {"s3": S3, "s3a": S3, "gs": GOOGLE, "gcs": GOOGLE, "az": AZURE, "abfs": AZURE}
"""Schemes whose servers create an object only if it is absent, in one step."""
PACKAGES = {S3: "pip install 'foveate[s3]'", GOOGLE: "pip install gcsfs", AZURE: "pip install adlfs"}

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 10, 60, 2
"""How long an S3 server may take to be reached and to answer, and how often botocore tries by itself."""


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
    elif any(
        server_code(cause) == "NoSuchBucket" or isinstance(cause, FileNotFoundError) for cause in causes
    ):
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
