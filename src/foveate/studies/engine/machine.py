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

    def check(self) -> None:
        """Validate the settings; torch is imported for a GPU alone.

        Raises:
            RequestError: a device that is not available, an unknown log, or too many threads.
        """
        check_at_least(self, jobs=1, threads=1, workers=0)
        self._logs()
        lightning_device(self.device)
        check_threads("--workers", self.workers)
        threads = self._threads()
        flags = f"--jobs {self.jobs} × --threads {threads} =" if self.jobs > 1 else "--threads"
        check_threads(flags, self.jobs * threads)

    def machine(self) -> "Machine":
        """Return the machine as one run uses it; raises RequestError as `check` does."""
        from foveate.studies.engine.run import Machine

        self.check()
        return Machine(self.device, self._threads(), self.workers, self._logs())

    def _threads(self) -> int:
        return self.threads or max(available_cores() // self.jobs, 1)

    def _logs(self) -> Logs:
        logs: Logs | None = next((log for log in get_args(Logs) if log == self.log), None)
        if logs is None:
            raise RequestError(unknown_name("log", self.log, get_args(Logs)))
        return logs
