"""The settings of how the runs of a study use this machine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.studies.engine.environment import available_cores, check_threads
from foveate.studies.spec.completers import Device, one_of
from foveate.training.machine import Logs, lightning_device

if TYPE_CHECKING:
    from foveate.studies.engine.run import Machine

__all__ = ["MachineSettings"]


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How the runs of a study use this machine; apart from rounding, what they learn does not depend on it.

    Attributes:
        jobs: Number of runs at a time, each in a process of its own; with --on by default as many as there is
            room for.
        device: Device to train on: auto, cpu, cuda, cuda:N or mps.
        threads: CPU threads of each run; by default the available cores divided by --jobs, with --on one.
        workers: Number of processes that load the images of a data set that is too large for memory.
        log: Training log in the folder of each run: none, csv or tensorboard.
    """

    jobs: Annotated[int | None, Parameter(alias="-j", show_default="1")] = None
    device: Device = "auto"
    threads: int | None = None
    workers: int = 2
    log: Annotated[str, Parameter(completer=one_of(get_args(Logs)))] = "none"

    def check(self, *, elsewhere: bool = False) -> None:
        """Validate the settings; torch is imported for a GPU alone, and not if the runs go `elsewhere`.

        Raises:
            RequestError: a device that is not available, an unknown log, or too many threads.
        """
        check_at_least(self, jobs=1, threads=1, workers=0)
        self._logs()
        if elsewhere:
            return
        lightning_device(self.device)
        check_threads("--workers", self.workers)
        threads, jobs = self._threads(), self.jobs or 1
        flags = f"--jobs {jobs} × --threads {threads} =" if jobs > 1 else "--threads"
        check_threads(flags, jobs * threads)

    def machine(self, *, elsewhere: bool = False) -> "Machine":
        """Return the machine as one run uses it; raises RequestError as `check` does."""
        from foveate.studies.engine.run import Machine

        self.check(elsewhere=elsewhere)
        device = "auto" if elsewhere and self.gpus else self.device  # a scheduler gives a run its GPU
        return Machine(device, self._threads(elsewhere=elsewhere), self.workers, self._logs())

    @property
    def gpus(self) -> int | None:
        """The GPUs that a run needs; None is one where there are any."""
        return None if self.device == "auto" else int(self.device.startswith("cuda"))

    def _threads(self, *, elsewhere: bool = False) -> int:
        return self.threads or (1 if elsewhere else max(available_cores() // (self.jobs or 1), 1))

    def _logs(self) -> Logs:
        logs: Logs | None = next((log for log in get_args(Logs) if log == self.log), None)
        if logs is None:
            raise RequestError(unknown_name("log", self.log, get_args(Logs)))
        return logs
