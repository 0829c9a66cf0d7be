"""What holds for every test, and what several folders of tests share: images, a study, the command line.

One thread a process: two test workers that each take all cores mostly wait for each other.
"""

import ctypes
import gc
import itertools
import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from chromium import CHROMIUM, missing

logging.getLogger("foveate").setLevel(logging.ERROR)  # whether kernels are compiled depends on earlier runs
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # more would be processes that import torch
settings.register_profile("cover", deadline=None, database=None, max_examples=25)
settings.register_profile("full", deadline=None, database=None, max_examples=300)
settings.load_profile("cover")
FILES = itertools.count(1)
"""Counts the files whose tests have ended."""


def pytest_configure() -> None:
    """Fail at once where a browser is required and there is none: skipped tests would not be noticed."""
    if reason := missing(CHROMIUM, os.environ):
        raise pytest.UsageError(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests: at the end both workers are busy until the last file."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Let no later collection of garbage look at what was imported, which takes half a second each time."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the interpreter's end find everything, or extension modules would complain of leaks."""
    gc.unfreeze()


@pytest.fixture(scope="module", autouse=True)
def released() -> Iterator[None]:
    """Give back the memory of a file's tests: compiled graphs, cycles, and what malloc keeps for later.

    After ten files everything is looked at again; what is alive then, imported modules for the most part, is
    left alone by the collections after the next ten.
    """
    yield
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()
    if next(FILES) % 10 == 0:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    else:
        gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc alone has it
        trim(0)


@pytest.fixture(scope="session")
def bands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 8×8 grey images; the bright band of rows is the class. 3 × 20 to train, 3 × 6 to test."""
    root = tmp_path_factory.mktemp("data") / "bands"
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 6)):
        for band, name in enumerate(("high", "low", "middle")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 120, (8, 8), dtype=np.uint8)
                pixels[2 * band : 2 * band + 3] += 100
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="session", autouse=True)
def briefly_timed() -> Iterator[None]:
    """Let a study time its networks for the fewest rounds there are, where a test has imported studies."""
    if "foveate.studies" not in sys.modules:
        yield
        return
    from foveate.evaluation.cost import time_networks
    from foveate.studies.engine import cost

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "time_networks", partial(time_networks, seconds=0.0))
        yield


@pytest.fixture(scope="session")
def trained_bands(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study, plain and SE on two seeds; for reading: whoever writes makes a copy."""
    # Not above: whoever asks for no study has nothing to do with it.
    from foveate.studies.compare import compare
    from foveate.studies.engine.fitting import Machine
    from foveate.studies.spec.making import make_study

    settings = {"data": str(bands), "backbone": "cifar_resnet8", "attention": "none,se", "seeds": 2}
    out = tmp_path_factory.mktemp("studies") / "bands"
    compare(make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ()}), out, Machine("cpu"))
    return out


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """The command line without a process of its own, which saves the imports; gives the exit status."""
    import torch

    from foveate.cli.main import main

    threads = torch.get_num_threads()

    def run(*arguments: str, folder: Path) -> int:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["foveate", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    yield run
    torch.set_num_threads(threads)


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork workers from a server that has the imports; how they start from nothing is tested elsewhere."""
    get_context, server = multiprocessing.get_context, multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["foveate.studies.compare", "foveate.studies.search"])
    forkserver.ensure_running()  # or each study would start and stop a server of its own
    monkeypatch.setattr(
        multiprocessing,
        "get_context",
        lambda method=None: server if method == "spawn" else get_context(method),
    )
