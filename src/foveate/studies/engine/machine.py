"""The settings of how the runs of a study use this machine."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, get_args

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.studies.engine.ddp.ranks import find_rank
from foveate.studies.engine.environment import available_cores, check_threads
from foveate.studies.engine.executors.need import Need
from foveate.studies.spec.completers import Device, one_of
from foveate.training.machine import Logs, lightning_device

if TYPE_CHECKING:
    from foveate.studies.engine.fitting import Machine

__all__ = ["MachineSettings"]


ELSEWHERE = ("auto", "cpu", "cuda")
"""The devices that a run on another machine may ask for."""


@dataclass(frozen=True, kw_only=True)
class MachineSettings:
    """How the runs of a study use this machine; apart from rounding, only --devices changes what they learn.

    Attributes:
        jobs: Number of runs at a time, each in a process of its own; by default one, with --on as many as
            there is room for.
        device: Device to train on: auto, cpu, cuda, cuda:N or mps.
        devices: Number of devices that train each run together: GPUs, or processes of the CPU.
            The batch of a step is divided among them.
        nodes: Number of machines that do so, with --devices each; --on, srun or torchrun starts their
            processes.
        threads: CPU threads of each process that trains; by default the available cores divided by these,
            with --on one.
        workers: Number of processes that load the images of a data set that is too large for memory.
        log: Training log in the folder of each run: none, csv or tensorboard.
    """

    jobs: Annotated[int | None, Parameter(alias="-j")] = None
    device: Device = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int | None = None
    workers: int = 2
    log: Annotated[str, Parameter(completer=one_of(get_args(Logs)))] = "none"

    def check(self, *, elsewhere: bool = False) -> None:
        """Validate the settings; torch is imported for a GPU alone, and not if the runs go `elsewhere`.

        Raises:
            RequestError: a device that is not available, an unknown log, too many threads, or several nodes
                without a scheduler that started or will start their processes.
        """
        check_at_least(self, jobs=1, threads=1, workers=0, devices=1, nodes=1)
        self._logs()
        if elsewhere:
            if self.device not in ELSEWHERE:
                raise RequestError(
                    f"--device {self.device} with --on: expected auto, cpu or cuda; the scheduler chooses one"
                )
            return
        jobs = self.jobs or 1
        if self.nodes > 1:
            find_rank(self.devices, self.nodes)
            if jobs > 1:
                raise RequestError(
                    f"--jobs {jobs} with --nodes {self.nodes}: runs take turns on several nodes"
                )
        lightning_device(self.device, self.devices)
        check_threads("--workers", self.workers)
        threads = self._threads()
        factors = {"--jobs": jobs, "--devices": self.devices, "--threads": threads}
        given = [f"{flag} {number}" for flag, number in factors.items() if number > 1 or flag == "--threads"]
        flags = f"{' × '.join(given)} =" if len(given) > 1 else "--threads"
        check_threads(flags, jobs * self.devices * threads)

    def machine(self, *, elsewhere: bool = False) -> "Machine":
        """Return the machine as one run uses it; raises RequestError as `check` does."""
        from foveate.studies.engine.fitting import Machine

        self.check(elsewhere=elsewhere)
        device = "auto" if elsewhere else self.device  # the executor says what the runs have there
        threads = self._threads(elsewhere=elsewhere)
        return Machine(
            device, threads, self.workers, self._logs(), self.devices, self.nodes, elsewhere=elsewhere
        )

    @property
    def need(self) -> Need:
        """What a run needs elsewhere; its memory is not known here."""
        gpus = 0 if self.device == "cpu" else self.devices
        cpus = self._threads(elsewhere=True) * self.devices
        optional = self.device == "auto"
        return Need(cpus, gpus, gpus_optional=optional, nodes=self.nodes, processes=self.devices)

    def _threads(self, *, elsewhere: bool = False) -> int:
        processes = (self.jobs or 1) * self.devices
        return self.threads or (1 if elsewhere else max(available_cores() // processes, 1))

    def _logs(self) -> Logs:
        logs: Logs | None = next((log for log in get_args(Logs) if log == self.log), None)
        if logs is None:
            raise RequestError(unknown_name("log", self.log, get_args(Logs)))
        return logs
