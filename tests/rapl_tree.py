"""A folder like Linux's /sys/class/powercap, with counters that really count."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from foveate.evaluation import energy_counters

PSYS = "psys"


class Zone:
    """A zone of RAPL; `add` counts microjoules, and begins again at 0 behind its range."""

    def __init__(self, folder: Path, name: str, range_uj: int) -> None:
        folder.mkdir(parents=True)
        self.file, self.name, self.range_uj, self._count = folder / "energy_uj", name, range_uj, 0
        self._lock = threading.Lock()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.add(0)

    def add(self, microjoules: int) -> None:
        with self._lock:
            self._count = (self._count + microjoules) % self.range_uj
            whole = self.file.with_name("next")  # replaced as a whole: a reader never sees half a number
            whole.write_text(f"{self._count}\n")
            whole.replace(self.file)


class Tree:
    """The zones of a machine: its packages, and perhaps `psys`, which counts all of them once more."""

    def __init__(self, folder: Path, names: tuple[str, ...], range_uj: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.zones = [Zone(folder / f"intel-rapl:{i}", name, range_uj) for i, name in enumerate(names)]

    def add(self, microjoules: int) -> None:
        for zone in self.zones:
            packages = len(self.zones) - 1
            zone.add(packages * microjoules if zone.name == PSYS else microjoules)


@contextmanager
def counting(tree: Tree, watts: float) -> Iterator[None]:
    """Count `watts` in each package of `tree` from a thread."""
    stop = threading.Event()

    def count() -> None:
        last = time.perf_counter()
        while not stop.wait(0.0005):
            now = time.perf_counter()
            tree.add(int(1e6 * watts * (now - last)))
            last = now

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def read_from(folder: Path) -> Iterator[None]:
    """Have the counters read from `folder` instead of Linux's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(energy_counters, "RAPL", folder)
        yield
