"""A unit of work, its record, and the process that carries it out."""

import json
import math
import multiprocessing
import os
import re
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

from foveate.files import write_json
from gpu_steps.settings import Settings

SOURCE = Path(__file__).resolve().parents[2] / "src" / "foveate"
PROCESSES = "FOVEATE_BENCHMARK_PROCESSES"
"""The environment variable that selects how processes are started: forkserver or spawn."""
PRELOADED = ["torch", "torchvision", "timm", "lightning.pytorch", "foveate", "foveate.studies.compare"]
NEVER, CUT, FAILED, DONE = "left", "cut short", "failed", "done"
"""The states of a unit."""


@dataclass(frozen=True)
class Unit:
    """A single measurement: `work(settings, *arguments, seconds)` returns its results.

    It is stopped after `seconds`, and not started with less than `least` seconds left.
    """

    step: str
    title: str
    work: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...] = ()
    seconds: float = 60.0
    least: float = 5.0

    @property
    def name(self) -> str:
        """The name of its record, in the folder of its step."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower().replace("×", "x")).strip("-")


@dataclass
class Records:
    """The records in a folder: a JSON file for each unit that was tried, written whole or not at all."""

    folder: Path
    code: str = field(default_factory=lambda: digest_of_code())
    processes: set[Any] = field(default_factory=set)

    def path(self, unit: Unit) -> Path:
        """Return the path of a unit's record."""
        return self.folder / unit.step / f"{unit.name}.json"

    def read(self, unit: Unit) -> dict[str, Any]:
        """Return a unit's record; without one, the status is NEVER."""
        path = self.path(unit)
        if not path.is_file():
            return {"status": NEVER, "tries": 0}
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record

    def waiting(self, units: list[Unit]) -> list[Unit]:
        """Return the units that are not done: first the untried, then the cut, then the failed ones."""
        order = [NEVER, CUT, FAILED]
        ranked = [
            (order.index(status), unit) for unit in units if (status := self.read(unit)["status"]) != DONE
        ]
        return [unit for _, unit in sorted(ranked, key=lambda pair: pair[0])]

    def carry_out(self, unit: Unit, settings: Settings, seconds: float) -> str:
        """Carry out a unit in its own process, within `seconds` and its own limit; return its status."""
        before, started = self.read(unit), time.monotonic()
        limit = min(unit.seconds, seconds)
        tries = before["tries"] + 1
        process = start(_do, unit, settings, self.path(unit), limit, tries, self.code)
        self.processes.add(process)
        process.join(min(limit + _grace(), seconds))  # never beyond the end of the step or the slice
        alive = process.is_alive()
        stop(process)
        self.processes.discard(process)
        if alive:
            said = f"it was stopped after {time.monotonic() - started:.0f} s"
            status = FAILED if limit == unit.seconds else CUT
            self._write(unit, before, status, said, tries)
        elif self.read(unit).get("tries") != tries:
            said = f"its process ended with status {process.exitcode} and left no record"
            self._write(unit, before, FAILED, said, tries)
        return str(self.read(unit)["status"])

    def stop_all(self) -> None:
        """Stop all running units."""
        for process in list(self.processes):
            stop(process)

    def _write(self, unit: Unit, before: dict[str, Any], status: str, said: str, tries: int) -> None:
        record = before | {"title": unit.title, "status": status, "error": said, "tries": tries}
        write_json(self.path(unit), record | {"code": self.code})


def choose_processes(settings: Settings) -> None:
    """Check whether a forked process can use the GPU, and otherwise spawn processes.

    A fork starts at once, while a spawned process imports torch again. A fork cannot use a GPU that its
    parent has initialised, which a library may do while it is imported.
    """
    if settings.device == "cuda" and PROCESSES not in os.environ:
        process = start(_touch_gpu)
        process.join(60)
        stop(process)
        if process.exitcode != 0:
            os.environ[PROCESSES] = "spawn"


def _touch_gpu() -> None:
    torch.ones(1, device="cuda").add_(1).item()


def _grace() -> float:
    """Return the seconds beyond a unit's limit, for its last case and the imports of a spawned process."""
    return 30.0 if os.environ.get(PROCESSES) == "spawn" else 10.0


def start(function: Callable[..., None], *arguments: Any) -> Any:
    """Start `function` in a process that ends with this one; it is forked from one that has used no GPU."""
    context = multiprocessing.get_context(os.environ.get(PROCESSES, "forkserver"))
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_with_parent, args=(function, *arguments))
    process.start()
    return process


def stop(process: Any) -> None:
    """Kill a process that `start` returned."""
    process.kill()
    process.join()


def _with_parent(function: Callable[..., None], *arguments: Any) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end_with, args=(parent.sentinel,), daemon=True).start()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # so that the dry run does not wait for busy cores
    function(*arguments)


def _do(unit: Unit, settings: Settings, path: Path, seconds: float, tries: int, code: str) -> None:
    from foveate.studies.engine.environment import describe_environment
    from price_measure import find_version

    versions = {name: find_version(name) for name in ("numba", "triton")}
    started = time.perf_counter()
    try:
        found = {"status": DONE, "found": unit.work(settings, *unit.arguments, seconds=seconds)}
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        found = {"status": FAILED, "error": said, "traceback": traceback.format_exc()}
    about = {
        "title": unit.title,
        "tries": tries,
        "seconds": round(time.perf_counter() - started, 2),
        "code": code,
        "environment": describe_environment(settings.torch_device, 1).to_json() | versions,
    }
    write_json(path, about | plain(found))


def plain(value: Any) -> Any:
    """Return a copy that JSON can hold: infinite numbers become "inf", and NaN becomes "nan"."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def digest_of_code() -> str:
    """Return the hash of the measured code: mechanisms and kernels."""
    digest = sha256()
    for folder in ("attention", "kernels"):
        for file in sorted((SOURCE / folder).rglob("*.py")):
            digest.update(file.relative_to(SOURCE).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]
