"""The files of pretrained weights: found on this machine, or fetched once from where timm and torchvision do.

A file is fetched only after the server has answered one request, within PATIENCE seconds in all. Without a
connection, the error thus comes at once and says what to download by other means.
"""

import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import timm
import torch
from huggingface_hub import constants

from foveate.errors import RequestError, WorkError, first_line
from foveate.models.backbones.names import TORCHVISION
from foveate.models.backbones.torchvision import pretrained_url

__all__ = ["fetch_weights", "find_weights"]

PATIENCE = 10.0
"""Seconds in which a server must have answered, names and redirections included."""
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""The names of weights in a repository of the hub, in the order in which timm takes them."""
ABSENT = (404, 410)


@dataclass(frozen=True)
class _Source:
    """Where the weights of a network are published, and where a copy is kept on this machine.

    Attributes:
        url: of the file.
        place: where a file that was downloaded by hand is found.
        repository: the hub's repository, with its revision after "@"; None elsewhere.
        file: the name of the file in that repository.
    """

    url: str
    place: Path
    repository: str | None = None
    file: str = ""

    def find(self) -> Path | None:
        """Return the file on this machine, if there is one."""
        if self.place.is_file():
            return self.place
        if self.repository is None:
            return None
        name, _, revision = self.repository.partition("@")
        cached = huggingface_hub.try_to_load_from_cache(name, self.file, revision=revision or None)
        return Path(cached) if isinstance(cached, str) else None

    def fetch(self) -> Path:
        """Download the file and return it; it raises what the hub's client or torch does."""
        if self.repository is None:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(self.place), progress=False)
            return self.place
        name, _, revision = self.repository.partition("@")
        return Path(
            huggingface_hub.hf_hub_download(name, self.file, revision=revision or None, etag_timeout=PATIENCE)
        )


def find_weights(name: str) -> Path | None:
    """Return the file on this machine with the pretrained weights of the network called `name`, if any."""
    config = None if name.startswith(TORCHVISION) else timm.get_pretrained_cfg(name)
    if config is not None and config.file:
        return Path(config.file)
    return next((file for source in _sources(name) if (file := source.find())), None)


def fetch_weights(name: str) -> Path:
    """Return the file with the pretrained weights of the network called `name`; download it if need be.

    Raises:
        RequestError: there are no pretrained weights for this network.
        WorkError: the server does not answer within PATIENCE seconds, or the download fails. The message says
            which file to download, from where, and where to put it.
    """
    if found := find_weights(name):
        return found
    sources = _sources(name)
    if not sources:
        raise RequestError(
            f"{name} has no pretrained weights: leave out --pretrained, or give --weights FILE"
        )
    fault: Exception
    for source in sources:
        try:
            _ask(source)
            return source.fetch()
        except urllib.error.HTTPError as error:
            fault = error
            if error.code not in ABSENT:
                break
        except Exception as error:  # the hub's client, the network and the disk raise what they like
            fault = error
            break
    first = sources[0]
    raise WorkError(
        f"the pretrained weights of {name} are not on this machine and could not be fetched "
        f"({type(fault).__name__}: {first_line(fault)}). On a "
        f"machine with a connection, download {first.url}, and put it at {first.place} or give it as "
        "--weights FILE"
    ) from fault


def _sources(name: str) -> list[_Source]:
    """Return where the pretrained weights of `name` are published, in the order in which they are tried."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if name.startswith(TORCHVISION):
        url = pretrained_url(name.removeprefix(TORCHVISION))
        return [_Source(url, folder / url.rpartition("/")[2])] if url else []
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    if config is None:
        return []
    if config.hf_hub_id:
        repository, _, revision = config.hf_hub_id.partition("@")
        known = ".".join(part for part in (config.architecture, config.tag) if part)
        files = (config.hf_hub_filename,) if config.hf_hub_filename else HUB_FILES
        return [
            _Source(
                huggingface_hub.hf_hub_url(repository, file, revision=revision or None),
                folder / (known + Path(file).suffix),
                config.hf_hub_id,
                file,
            )
            for file in files
        ]
    if config.url:
        url = str(config.url)
        return [_Source(url, folder / url.rpartition("/")[2])]
    return []


class _Unredirected(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: that the server answers is enough."""

    def redirect_request(self, *_: object) -> None:
        """Make no further request."""


def _ask(source: _Source) -> None:
    """Ask the server once for the file's head; raise what that raises, or TimeoutError after PATIENCE.

    The request runs in a thread of its own, because the look-up of a name has no time limit.
    """
    if source.repository is not None and constants.HF_HUB_OFFLINE:
        raise ConnectionError("HF_HUB_OFFLINE is set")
    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(source.url, method="HEAD")
            urllib.request.build_opener(_Unredirected).open(request, timeout=PATIENCE).close()
            outcome.append(None)
        except urllib.error.HTTPError as error:
            error.close()
            outcome.append(error if error.code >= 400 else None)
        except Exception as error:  # refused, unknown, interrupted, not HTTP
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not outcome:
        raise TimeoutError(f"no answer within {PATIENCE:.0f} s")
    if outcome[0] is not None:
        raise outcome[0]
