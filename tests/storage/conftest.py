"""A real S3 server on the loopback: moto's."""

import itertools
import logging
import os
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from foveate.storage import opening

BUCKETS = itertools.count(1)


@dataclass
class Server:
    """The server, what it is asked, and a way to let it ignore conditions, as old servers do."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    ignores_conditions: bool = False

    def require_rights(self, *, required: bool) -> None:
        """Accept only known keys, or any."""
        import moto.settings
        from moto.core.responses import ActionAuthenticatorMixin

        ActionAuthenticatorMixin.request_count = 0
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0 if required else float("inf")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """One server for all tests. It answers one request at a time: moto looks and writes in two steps."""
    pytest.importorskip("moto")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server, lock, moto = Server(), threading.Lock(), DomainDispatcherApplication(create_backend_app)

    def one_at_a_time(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            server.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            if server.ignores_conditions:
                environ.pop("HTTP_IF_NONE_MATCH", None)
            return list(moto(environ, start))

    listening = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_port}"
    yield server
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def s3(s3_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, with what a user sets for it, and an empty cache folder."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "a-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    s3_server.asked.clear()
    opening._open.cache_clear()
    yield s3_server
    opening._open.cache_clear()


@pytest.fixture
def bucket(s3: Server) -> str:
    """The URL of a new bucket."""
    name = f"bucket-{next(BUCKETS)}"
    urllib.request.urlopen(urllib.request.Request(f"{s3.url}/{name}", method="PUT")).close()
    return f"s3://{name}"
