"""The interface of an executor, which carries out independent tasks."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from foveate.studies.engine.watch import Watch

__all__ = ["Executor", "MakeRunner", "Outcome", "Result", "Run"]

Run = TypeVar("Run")
"""The task of a worker: the spec of a run or of a trial, or the number of a trial."""

Result = TypeVar("Result")
"""What a worker returns."""

Outcome = Callable[[], Result]
"""Returns the result of a task, or raises the error that stopped it."""

MakeRunner = Callable[..., Callable[[Run, Watch], Result]]
"""Called once in each worker with its number (0, 1, …) and further arguments; returns its runner."""


class Executor(Protocol):
    """Carries out tasks somewhere, several at a time, while it is used as a context manager."""

    def __enter__(self) -> "Executor":
        """Connect, and refuse what is clear before any work; raises RequestError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Disconnect, and end what was started."""

    def check(self, out: Path, paths: Sequence[Path]) -> None:
        """Refuse machines that would carry out tasks and do not see the study's folder, or one of `paths`.

        Raises:
            RequestError: names the machine and the folder.
        """

    @property
    def jobs(self) -> int:
        """The number of tasks at a time."""

    @property
    def device(self) -> str | None:
        """The kind of device that a task has on another machine: cpu or cuda; None for this machine."""

    def carry_out(
        self,
        tasks: Sequence[Run],
        watch: Watch,
        make_runner: MakeRunner[Run, Result],
        *arguments: Any,
        together: bool = False,
    ) -> Generator[tuple[Run, Outcome[Result]]]:
        """Carry out `tasks`, and yield each as it ends. All workers end with the generator.

        Args:
            tasks: each is given to the runner of one worker.
            watch: receives the steps of all workers.
            make_runner: a function of a module; it is called once in each worker process.
            arguments: of `make_runner`, after the number of the worker.
            together: whether each task is carried out by several machines: its runner is called in all of
                their processes, which find their ranks as `find_rank` does, and the result is the first's.
        """
