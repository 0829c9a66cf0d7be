"""To the hub and back: a folder, and the hub's own protocol against a server on this machine."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.data import resolve_model_data_config
from torch import nn

import foveate

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload and a download of small files ask for; files live in `kept`."""

    kept: dict[str, bytes]

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        if self.path.endswith("/api/repos/create"):
            self._answer({"url": f"http://{self.headers['Host']}/someone/net"})
        elif "/preupload/" in self.path:
            files = [
                {**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            for line in body.decode().splitlines():
                item = json.loads(line)
                if item["key"] == "file":
                    self.kept[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            self._answer(
                {
                    "commitUrl": f"http://{self.headers['Host']}/someone/net/commit/{COMMIT}",
                    "commitOid": COMMIT,
                }
            )
        else:
            self._answer({"path": self.path}, status=200)

    def do_GET(self) -> None:
        name = self.path.partition("/resolve/main/")[2].partition("?")[0]
        if name in self.kept:
            content = self.kept[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)
        else:
            self._answer({"error": "Entry not found"}, status=404, code="EntryNotFound")

    do_HEAD = do_GET  # noqa: N815

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, content: Any, status: int = 200, code: str | None = None) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


@pytest.fixture
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    """The server's address, and the files that it keeps."""
    handler = type("Kept", (Hub,), {"kept": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler.kept
        server.shutdown()
        thread.join()


SCRIPT = """
import foveate, timm, torch
torch.manual_seed(0)
model = timm.create_model("cifar_resnet20_dmsca", num_classes=2, zero_init_last=False).eval()
model.pretrained_cfg["label_names"] = ["cat", "dog"]
print(foveate.push_to_hub(model, "someone/net", token="hf_x"))
back = foveate.from_pretrained("someone/net", token=False)
x = torch.rand(1, 3, 32, 32)
assert torch.equal(back(x), model(x))
print(back.pretrained_cfg["label_names"])
"""

OWN = """
import foveate, torch
from torch import nn
def build():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
model = foveate.attach(build(), "se", at="0", reduction=2).eval()
foveate.push_to_hub(model, "someone/net", token="hf_x", backbone=None, classes=["cat", "dog"])
back = foveate.from_pretrained("someone/net", build(), token=False, device="cpu")
x = torch.rand(1, 3, 32, 32)
assert torch.equal(back(x), model(x))
print(back.pretrained_cfg["label_names"])
"""


def run(script: str, address: str, home: Path) -> str:
    # The hub's address is read when its library is imported: a process of its own.
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_to_the_hub_and_back(hub, tmp_path):
    address, kept = hub
    printed = run(SCRIPT, address, tmp_path)
    assert COMMIT in printed
    assert "['cat', 'dog']" in printed
    assert set(kept) == {"model.safetensors", "config.json", "README.md"}
    assert json.loads(kept["config.json"])["backbone"]["name"] == "cifar_resnet20_dmsca"
    assert 'foveate.from_pretrained("someone/net")' in kept["README.md"].decode()


def test_folder_and_back(tmp_path):
    model = timm.create_model("cifar_resnet20_se", zero_init_last=False).eval()
    foveate.save_pretrained(model, tmp_path)
    loaded = foveate.from_pretrained(tmp_path)
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded(x), model(x))
    assert resolve_model_data_config(loaded) == resolve_model_data_config(model)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "README.md"}


@pytest.mark.full  # another process that imports torch; without the hub it is tested below
def test_network_of_ones_own_to_the_hub_and_back(hub, tmp_path):
    address, kept = hub
    assert "['cat', 'dog']" in run(OWN, address, tmp_path)
    assert json.loads(kept["config.json"])["backbone"] is None
    card = kept["README.md"].decode()
    assert 'foveate.from_pretrained("someone/net", model=Sequential(…))' in card


def test_folder_gets_what_saving_takes(tmp_path):
    model = timm.create_model("cifar_resnet20", num_classes=2, drop_rate=0.5)
    own = {"input_size": (3, 24, 24), "mean": (0.5,) * 3, "std": (0.25,) * 3, "crop_pct": 0.75}
    foveate.save_pretrained(
        model, tmp_path, classes=["cat", "dog"], preprocessing=own, backbone_args={"drop_rate": 0.5}
    )
    loaded = foveate.from_pretrained(tmp_path, device="cpu")
    assert loaded.pretrained_cfg["label_names"] == ["cat", "dog"]
    assert {key: resolve_model_data_config(loaded)[key] for key in own} == own
    assert loaded.drop_rate == 0.5
    with pytest.raises(foveate.errors.RequestError, match="device 'cuda:99' is not there"):
        foveate.from_pretrained(tmp_path, device="cuda:99")


def test_own_network_in_a_folder_is_filled(tmp_path):
    model = foveate.attach(nn.Sequential(nn.Conv2d(3, 4, 1)), "se", at="0", reduction=2)
    foveate.save_pretrained(model, tmp_path)
    own = nn.Sequential(nn.Conv2d(3, 4, 1))
    assert foveate.from_pretrained(tmp_path, model=own) is own
    assert torch.equal(own[0].weight, model[0].weight)


def test_unknown_options_are_named(tmp_path):
    model = timm.create_model("cifar_resnet20")
    with pytest.raises(TypeError, match="unknown option of save_pretrained 'clases'. Did you mean 'classes'"):
        foveate.save_pretrained(model, tmp_path, clases=["cat"])
    with pytest.raises(TypeError, match="unknown option of save_pretrained 'token'"):  # nothing is uploaded
        foveate.save_pretrained(model, tmp_path, token="hf_x")
    with pytest.raises(TypeError, match="unknown option of push_to_hub 'privat'. Did you mean 'private'"):
        foveate.push_to_hub(model, "someone/net", privat=True)
    with pytest.raises(TypeError, match="unknown option of push_to_hub 'config'"):
        foveate.push_to_hub(model, "someone/net", config={})
    with pytest.raises(TypeError, match="'strict'"):
        foveate.from_pretrained(tmp_path, strict=False)
    assert list(tmp_path.iterdir()) == []
