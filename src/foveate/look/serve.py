"""Serve the page, to this machine only unless another host is given."""

import os
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from foveate.data import Data
from foveate.errors import RequestError
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.find_trained import find_trained
from foveate.inspection.settings import check_port
from foveate.inspection.trained import Trained, open_images
from foveate.look.addresses import LOOPBACK, OwnAddress, own_names
from foveate.look.page import STYLE, build_page, gradio_library, look_theme
from foveate.look.pictures import MOST_BYTES
from foveate.look.uploads import forgotten_removed
from foveate.look.viewer import Viewer
from foveate.names import cleaned, printable
from foveate.studies.engine.fitting import Machine
from foveate.training.machine import lightning_device

__all__ = ["serve"]

THREADS = 4
SWITCHED_OFF = ("GRADIO_ANALYTICS_ENABLED", "GRADIO_RUN_HISTORY", "GRADIO_SHARE", "GRADIO_MCP_SERVER")


def _print(sentence: str) -> None:
    print(printable(sentence))


def serve(
    folder: str | Path,
    host: str,
    port: int,
    *,
    device: str,
    data: str | None = None,
    trust_code: bool = False,
    tell: Callable[[str], None] = _print,
) -> None:
    """Serve the page of the study in `folder` until Ctrl-C.

    Neither the page nor the server sends requests to any other address. Uploads are bounded (see pictures.py)
    and deleted when they are read.

    Args:
        port: 0 takes any that is free.
        data: the images for the examples; None takes those that the study was trained on, and shows no
            examples where these are not found.
        trust_code: run the source code of mechanisms that are not foveate's, which the runs hold.
        tell: is called with each message.

    Raises:
        RequestError: no study, gradio is missing, or the address is not available.
    """
    check_port(port)
    lightning_device(device)
    with _private_folder() as uploads:
        gradio_library()  # creates its folder when it is imported; first, as it may be missing
        trained = find_trained([str(folder)], trust_code=trust_code)
        check_classifiers(trained, "foveate look", "it shows the class that each answers for an image")
        viewer = Viewer(trained, Machine(device).torch_device)
        tell(f"reading the images of {data or 'the study'} for examples")
        images, note = _examples(trained, data)
        if note:
            tell(note)
        page = build_page(viewer, images, cleaned(Path(folder).resolve().name), note)
        with _ended_by_signal() as ended, forgotten_removed(uploads):
            try:
                _launch(page, host, port or _free_port(host))
                if host not in LOOPBACK:
                    tell(f"other machines can reach {host}, and whoever does can use the networks")
                tell(f"{page.local_url} (Ctrl-C ends it)")
                ended.wait()
            finally:
                page.close(verbose=False)


def _launch(page: Any, host: str, port: int) -> None:
    from starlette.middleware import Middleware  # a dependency of Gradio, which may not be installed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from the dependencies of Gradio
        try:
            page.launch(
                server_name=host,
                server_port=port,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                max_threads=THREADS,
                max_file_size=MOST_BYTES,
                ssr_mode=False,
                enable_monitoring=False,
                mcp_server=False,
                footer_links=[],
                theme=look_theme(),
                css_paths=STYLE,
                inbrowser=False,
                app_kwargs={"middleware": [Middleware(OwnAddress, names=own_names(host), port=port)]},
            )
        except (OSError, ValueError) as error:  # ValueError: a proxy is configured for this machine itself
            raise RequestError(
                f"{host}:{port} is not available ({error}): give another --port, or --host"
            ) from error


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def _examples(trained: list[Trained], source: str | None) -> tuple[Data | None, str]:
    """Return the images for examples, or None and the reason."""
    try:
        return open_images(trained, source), ""
    except RequestError as error:
        if source is not None:
            raise
        return None, f"There are no examples: {error}"


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Give Gradio a temporary folder, which is removed at the end, and switch off its requests to others."""
    kept = {name: os.environ.get(name) for name in ("GRADIO_TEMP_DIR", *SWITCHED_OFF)}
    with tempfile.TemporaryDirectory(prefix="foveate-look-") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder} | dict.fromkeys(SWITCHED_OFF, "False")
        try:
            yield Path(folder)
        finally:
            for name, value in kept.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def _ended_by_signal() -> Iterator[threading.Event]:
    """Return an event that Ctrl-C and SIGTERM set, so that both end the page in the same way."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
