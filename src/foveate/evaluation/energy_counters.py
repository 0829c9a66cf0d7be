"""The energy counters of a machine: RAPL's of CPU packages, which Linux shows as files, and NVML's of a GPU.

NVML is read by NVIDIA's package, the extra `energy`; RAPL needs none. zeus, which reads both, is not used:
its requirement amdsmi raises at import where there is no ROCm, and `import ray` imports amdsmi where it is
installed, so that no study could run on Ray any more (zeus 0.16, amdsmi 7.0, Ray 2).
"""

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
RAPL = Path("/sys/class/powercap")
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
    return _cpu_counters() if device.type == "cpu" else _gpu_counters(device)


def _cpu_counters() -> Counters:
    zones = sorted(RAPL.glob("intel-rapl:*"))  # parts of packages, too, with other names
    if not zones:
        raise NoCounterError(
            f"no energy counter of the CPU was found: {RAPL} has none, as in most virtual machines. "
            "Measure on hardware of its own under Linux, with its module intel_rapl_msr loaded"
        )
    try:
        named = {(zone / "name").read_text().strip(): zone for zone in zones}
        packages = sorted(name for name in named if name.startswith(PACKAGE))
        counters = tuple(_rapl_counter(named[name]) for name in packages)
    except PermissionError as error:
        raise NoCounterError(
            f"Linux lets only root read the CPU's energy counters (energy_uj in the folders of {RAPL}): run "
            "as root, or give your group the right to read these files"
        ) from error
    except (OSError, ValueError) as error:
        raise NoCounterError(
            f"the energy counters of the CPU in {RAPL} cannot be read ({first_line(error)})"
        ) from error
    if not packages:
        raise NoCounterError(f"no energy counter of a CPU package was found: {RAPL} has {', '.join(named)}")
    return Counters(f"RAPL, {' and '.join(packages)}", counters, CPU_SECONDS)


def _rapl_counter(zone: Path) -> Counter:
    span = MICRO * float((zone / "max_energy_range_uj").read_text())

    def read() -> float:
        return MICRO * float((zone / "energy_uj").read_text())

    read()  # raises here where it may not be read
    return Counter(read, span)


def _gpu_counters(device: torch.device) -> Counters:
    try:
        import pynvml
    except ImportError as error:
        raise NoCounterError(
            f"NVML, which has the counter, cannot be imported ({first_line(error)}): "
            "pip install 'foveate[energy]'"
        ) from error
    try:
        pynvml.nvmlInit()
        found = torch.cuda.get_device_properties(device)
        board: Any = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{found.uuid}")  # in whatever order it counts them
        pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    except (pynvml.NVMLError, RuntimeError, AssertionError) as error:
        raise NoCounterError(
            f"no energy counter of the GPU was found by NVML ({first_line(error).rstrip('.')}): NVIDIA's "
            "have one since Volta, slices of them (MIG) have none"
        ) from error
    counter = Counter(lambda: MILLI * pynvml.nvmlDeviceGetTotalEnergyConsumption(board))
    return Counters(f"NVML, {found.name}", (counter,), GPU_SECONDS)
