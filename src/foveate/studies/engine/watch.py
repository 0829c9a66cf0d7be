"""The interface through which a study reports its progress."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from foveate.records.metric import Metric
from foveate.records.study import StudyData

__all__ = ["OnProgress", "QueuedWatch", "WaitingRun", "Watch"]


class OnProgress(Protocol):
    """Called with the progress of other work than a study."""

    def __call__(self, what: str, done: float, total: int, detail: str = "", /) -> None:
        """Report that of `what`, for example "corruptions", `done` of `total` are done.

        `detail` is the part that is under way.
        """


class WaitingRun(NamedTuple):
    """A run that is to be carried out: its title, and the label of its candidate."""

    title: str
    candidate: str


class Watch:
    """Receives the progress of a study and ignores it. `run` is the title of a run: `dmsca, seed 1`."""

    def reading(self, source: str) -> None:
        """Report that the images are being read."""

    def fetching(self, backbone: str) -> None:
        """Report that the pretrained weights of `backbone` are being found, or downloaded."""

    def opened(self, data: StudyData) -> None:
        """Report that the images are read; `data` describes them."""

    def note(self, sentence: str) -> None:
        """Report what the study does to what is in its folder."""

    def planned(self, total: int, finished: int) -> None:
        """Report the number of runs, and how many of them were finished before."""

    def waiting(self, runs: Sequence[WaitingRun], jobs: int) -> None:
        """Report the runs that are to be carried out, in their order, `jobs` at a time."""

    def measuring(self, done: int, total: int) -> None:
        """Report the progress of the measurement of latencies."""

    def rehearsing(self, done: int, total: int) -> None:
        """Report the progress of the rehearsal of runs, a few steps of each."""

    def step(self, run: str, epoch: int, epochs: int, step: int, steps: int, value: float | None) -> None:
        """Report the step of a run; `value` is the latest primary metric on the validation part."""

    def finished(
        self,
        run: str,
        metric: Metric,
        value: float,
        seconds: float,
        waited: float | None = None,
        part: str = "test",
    ) -> None:
        """Report a finished run; `waited` is the share of its time that was spent waiting for images."""

    def failed(self, run: str, message: str) -> None:
        """Report a failed run."""


class QueuedWatch(Watch):
    """Sends steps from a worker process to the watch of the process that started it."""

    def __init__(self, put: Callable[[tuple[Any, ...]], object]):
        self.put = put

    def step(self, *position: Any) -> None:
        """Put the arguments of the call on the queue."""
        self.put(position)
