"""Pretrained weights, found on this machine or fetched: from a server on this machine, or from none."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
import torchvision
from huggingface_hub import constants

from foveate.errors import RequestError, WorkError
from foveate.models.backbones import fetch
from foveate.models.backbones.fetch import fetch_weights, find_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "mobilenetv3_small_050"


class Server(BaseHTTPRequestHandler):
    """Serves the files in `kept` as the hub does, by the ends of their paths, and lists the requests."""

    kept: dict[str, bytes]
    asked: list[tuple[str, str]]

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path))
        content = next((kept for end, kept in self.kept.items() if self.path.endswith(end)), None)
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("ETag", '"0123"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    handler = type("Kept", (Server,), {"kept": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def nothing_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches of torch's and the hub's, and neither an offline switch nor a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def set_hub(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_ENDPOINT does, which the hub's client reads when it is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_weights_of_the_hub_are_fetched_once(server, monkeypatch):
    address, kept = server
    kept.kept["/model.safetensors"] = safetensors.torch.save({"weight": torch.ones(2)})
    set_hub(address, monkeypatch)
    file = fetch_weights(NAME)
    assert torch.equal(safetensors.torch.load_file(file)["weight"], torch.ones(2))
    asked = len(kept.asked)
    assert asked > 1
    assert fetch_weights(NAME) == file == find_weights(NAME)
    assert len(kept.asked) == asked  # not even asked whether there are newer ones


def test_an_older_repository_has_only_a_pickle(server, monkeypatch, tmp_path):
    address, kept = server
    torch.save({"weight": torch.ones(2)}, tmp_path / "file")
    kept.kept["/pytorch_model.bin"] = (tmp_path / "file").read_bytes()
    set_hub(address, monkeypatch)
    assert fetch_weights(NAME).name == "pytorch_model.bin"


def test_weights_of_torchvision_are_fetched_by_their_address(server, monkeypatch, tmp_path):
    address, kept = server
    kept.kept["/net-1.pth"] = b"weights"
    monkeypatch.setattr(fetch, "pretrained_url", lambda name: f"{address}/{name}/net-1.pth")
    file = fetch_weights("torchvision/resnet18")
    assert file == tmp_path / "torch" / "hub" / "checkpoints" / "net-1.pth"
    assert file.read_bytes() == b"weights"


def test_without_a_connection_the_error_says_what_to_download_and_where_to_put_it(tmp_path, monkeypatch):
    set_hub(f"http://127.0.0.1:{unused_port()}", monkeypatch)
    tag = timm.get_pretrained_cfg(NAME).tag
    place = tmp_path / "torch" / "hub" / "checkpoints" / f"{NAME}.{tag}.safetensors"
    with pytest.raises(WorkError) as refused:
        fetch_weights(NAME)
    said = str(refused.value)
    assert f"download {constants.ENDPOINT}/timm/{NAME}.{tag}/resolve/main/model.safetensors" in said
    assert f"put it at {place} or give it as --weights FILE" in said
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert fetch_weights(NAME) == place


def test_a_server_that_takes_a_connection_and_is_silent_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", 0.3)
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        thread = threading.Thread(target=lambda: accepted.append(silent.accept()))
        thread.start()
        set_hub(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        with pytest.raises(WorkError, match=r"could not be fetched \((TimeoutError|URLError)"):
            fetch_weights(NAME)
        thread.join()
        for connection, _ in accepted:
            connection.close()
    for asking in threading.enumerate():
        if asking.daemon and "ask" in asking.name:
            asking.join(10)


def test_a_look_up_that_never_ends_is_given_up(monkeypatch):
    """Names are looked up without a limit by the system; the wait has one."""
    held = threading.Event()
    monkeypatch.setattr(fetch, "PATIENCE", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(30))
    started = time.monotonic()
    with pytest.raises(WorkError, match=r"TimeoutError: no answer within"):
        fetch_weights(NAME)
    held.set()
    assert time.monotonic() - started < 20


def test_the_hubs_offline_switch_is_respected(server, monkeypatch):
    address, kept = server
    set_hub(address, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WorkError, match="HF_HUB_OFFLINE is set"):
        fetch_weights(NAME)
    assert kept.asked == []


def test_a_server_that_refuses_is_asked_once(server, monkeypatch):
    address, kept = server
    set_hub(address, monkeypatch)
    with pytest.raises(WorkError, match=r"HTTPError: HTTP Error 404"):
        fetch_weights(NAME)
    assert [command for command, _ in kept.asked] == ["HEAD", "HEAD"]  # each of the two names of files


def test_networks_without_pretrained_weights():
    with pytest.raises(
        RequestError, match="cifar_resnet20 has no pretrained weights: leave out --pretrained, or"
    ):
        fetch_weights("cifar_resnet20")


def test_the_place_of_torchvision_is_torchs_own(tmp_path):
    url = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT.url
    place = tmp_path / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert find_weights("torchvision/shufflenet_v2_x0_5") == place
