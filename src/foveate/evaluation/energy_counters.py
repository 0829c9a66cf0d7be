"""The energy counters of a machine, as zeus finds them: RAPL's of CPU packages, NVML's or AMD SMI's of a GPU.

zeus is the extra `energy`. Its monitor of windows is not used. It takes every zone of RAPL for a CPU, also
`psys`, in which the packages are counted once more. And it starts a process for each zone, which looks once a
second whether the counter has wrapped around: a window in which that happens is wrong by the counter's whole
range. A window here is much shorter than a range, so that `Counters.between` needs no such process.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from foveate.errors import first_line

__all__ = ["CPU_SECONDS", "GPU_SECONDS", "Counter", "Counters", "NoCounterError", "find_counters"]

CPU_SECONDS = 0.25
"""The least seconds of a window on a CPU: RAPL's counters are updated about once a millisecond."""
GPU_SECONDS = 1.0
"""The least seconds of a window on a GPU, whose counter is updated every 20 to 100 ms."""
MICRO, MILLI = 1e-6, 1e-3
PACKAGE = "package"
"""The names of RAPL's zones that are whole CPU packages begin so; `psys` is the whole computer."""


class NoCounterError(Exception):
    """The machine does not tell its energy; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Counter:
    """A counter of joules; one that has a `range` begins again at 0 when it has counted so many."""

    read: Callable[[], float]
    range: float | None = None


@dataclass(frozen=True)
class Counters:
    """The counters of a device, which are read one after the other.

    Attributes:
        name: the interface, and what it counts.
        counters: one, or one for each CPU package.
        seconds: the least length of a window beside which the time between two updates is short.
    """

    name: str
    counters: tuple[Counter, ...]
    seconds: float

    def read(self) -> list[float]:
        """Return the values of the counters, in joules.

        Raises:
            NoCounterError: a counter can no longer be read.
        """
        try:
            return [counter.read() for counter in self.counters]
        except OSError as error:
            raise NoCounterError(
                f"the energy counter ({self.name}) can no longer be read: {error}"
            ) from error

    def between(self, before: Sequence[float], after: Sequence[float]) -> float:
        """Return the joules between two readings; each counter may have wrapped around once."""
        spans = (
            (end - begin, one.range) for one, begin, end in zip(self.counters, before, after, strict=True)
        )
        return sum(span % limit if limit else span for span, limit in spans)


def find_counters(device: torch.device) -> Counters:
    """Return the energy counters of `device`: of all CPU packages, or of the board of its GPU.

    Raises:
        NoCounterError: there is none, or it cannot be read.
    """
    if device.type not in ("cpu", "cuda"):
        raise NoCounterError(f"no energy counter of the device {device.type} is known")
    try:
        import zeus.device.cpu  # noqa: F401
    except ImportError as error:
        raise NoCounterError(
            f"zeus, which finds the counters, cannot be imported ({first_line(error)}): "
            "pip install 'foveate[energy]'"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zeus's, of zones that are not read here
        return _cpu_counters() if device.type == "cpu" else _gpu_counters(device)


def _cpu_counters() -> Counters:
    from zeus.device import get_cpus
    from zeus.device.cpu import rapl
    from zeus.device.cpu.common import ZeusCPUNoPermissionError
    from zeus.exception import ZeusBaseError

    try:
        cpus = get_cpus()
    except ZeusCPUNoPermissionError as error:
        raise NoCounterError(
            "Linux lets only root read the CPU's energy counters (energy_uj in the folders of "
            f"{rapl.RAPL_DIR}): run as root, or give your group the right to read these files"
        ) from error
    except (ZeusBaseError, OSError, ValueError) as error:
        fault = "cannot be read" if Path(rapl.RAPL_DIR).exists() else "does not exist"
        raise NoCounterError(
            f"no energy counter of the CPU was found: {rapl.RAPL_DIR} {fault}, as in most virtual machines. "
            "Measure on hardware of its own under Linux, with its module intel_rapl_msr loaded"
        ) from error
    zones = {Path(cpus.rapl_dir, f"intel-rapl:{cpu.cpu_index}"): cpu for cpu in cpus.cpus}
    named = {(zone / "name").read_text().strip(): zone for zone in zones}
    packages = sorted(name for name in named if name.startswith(PACKAGE))
    if not packages:
        found = ", ".join(sorted(named)) or "nothing"
        raise NoCounterError(f"no energy counter of a CPU package was found: {rapl.RAPL_DIR} has {found}")
    counters = tuple(_rapl_counter(named[name], zones[named[name]]) for name in packages)
    return Counters(f"RAPL, {' and '.join(packages)}", counters, CPU_SECONDS)


def _rapl_counter(zone: Path, cpu: Any) -> Counter:
    from zeus.device.cpu.rapl import ZeusdRAPLCPU

    span = MICRO * float((zone / "max_energy_range_uj").read_text())
    if isinstance(cpu, ZeusdRAPLCPU):  # zeus's daemon reads for whom Linux does not let
        return Counter(lambda: MILLI * cpu.get_total_energy_consumption().cpu_mj, span)
    return Counter(lambda: MICRO * float((zone / "energy_uj").read_text()), span)


def _gpu_counters(device: torch.device) -> Counters:
    from zeus.device import get_gpus
    from zeus.exception import ZeusBaseError

    try:
        gpus = get_gpus()
        gpu = gpus.gpus[torch.cuda.current_device() if device.index is None else device.index]
        name = gpu.get_name()
        counts = gpu.supports_get_total_energy_consumption()
    except ValueError as error:  # zeus takes them in no other form
        raise NoCounterError(
            f"CUDA_VISIBLE_DEVICES does not name GPUs by whole numbers ({first_line(error)}): give these"
        ) from error
    except (ZeusBaseError, ImportError, IndexError) as error:
        raise NoCounterError(
            f"no energy counter of the GPU was found by NVML or AMD SMI ({first_line(error).rstrip('.')}): "
            "check that nvidia-smi or amd-smi finds it"
        ) from error
    if not counts:
        raise NoCounterError(f"{name} has no energy counter: NVIDIA's have one since Volta")
    if torch.version.hip is None and name != torch.cuda.get_device_name(device):
        raise NoCounterError(
            f"NVML counts its GPUs in another order than CUDA (it has {name} for {device}): set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
    interface = "NVML" if torch.version.hip is None else "AMD SMI"
    counter = Counter(lambda: MILLI * gpu.get_total_energy_consumption())
    return Counters(f"{interface}, {name}", (counter,), GPU_SECONDS)
