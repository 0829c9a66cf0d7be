"""How the runs of a study use this machine: as it is asked for, and as one run uses it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, get_args

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.studies.engine.environment import available_cores, check_threads
from foveate.studies.spec.completers import Device, one_of
from foveate.training.machine import Logs, lightning_device

if TYPE_CHECKING:
    import torch

__all__ = ["Machine", "MachineSettings"]


@dataclass(frozen=True)
class Machine:
    """How runs are carried out; apart from rounding, what they learn does not depend on it."""

    device: str = "auto"
    threads: int = 1
    workers: int = 0
    logs: Logs = "none"

    @property
    def torch_device(self) -> "torch.device":
        """The device; `auto` is resolved."""
        import torch

        if self.device != "auto":
            return torch.device(self.device)
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")

    def of_worker(self, worker: int) -> "Machine":
        """Return the machine as one of several worker processes uses it: GPUs are dealt out in turn."""
        import torch

        if self.torch_device.type == "cuda" and ":" not in self.device:
            return replace(self, device=f"cuda:{worker % torch.cuda.device_count()}")
        return self


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How the runs of a study use this machine; apart from rounding, what they learn does not depend on it.

    Attributes:
        jobs: Number of runs at a time, each in a process of its own.
        device: Device to train on: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads of each run; by default the available cores divided by --jobs.
        workers: Number of processes that load the images of a data set that is too large for memory.
        log: Training log in the folder of each run: none, csv or tensorboard.
    """

    jobs: Annotated[int, Parameter(alias="-j")] = 1
    device: Device = "auto"
    threads: int | None = None
    workers: int = 2
    log: Annotated[str, Parameter(completer=one_of(get_args(Logs)))] = "none"

    def machine(self) -> Machine:
        """Return the machine as one run uses it.

        Raises:
            RequestError: a device that is not available, an unknown log, or too many threads.
        """
        check_at_least(self, jobs=1, threads=1, workers=0)
        logs: Logs | None = next((log for log in get_args(Logs) if log == self.log), None)
        if logs is None:
            raise RequestError(unknown_name("log", self.log, get_args(Logs)))
        lightning_device(self.device)
        threads = self.threads or max(available_cores() // self.jobs, 1)
        check_threads("--workers", self.workers)
        flags = f"--jobs {self.jobs} × --threads {threads} =" if self.jobs > 1 else "--threads"
        check_threads(flags, self.jobs * threads)
        return Machine(self.device, threads, self.workers, logs)
