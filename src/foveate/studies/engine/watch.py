"""The interface through which a study reports its progress."""

from collections.abc import Callable
from typing import Any

from foveate.records.metric import Metric
from foveate.records.study import StudyData

__all__ = ["OnProgress", "QueuedWatch", "Watch"]

OnProgress = Callable[[str, int, int], None]
"""Called with the progress of other work: what is being done, how much is done, and of how much."""


class Watch:
    """Receives the progress of a study and ignores it. `run` is the title of a run: `dmsca, seed 1`."""

    def reading(self, source: str) -> None:
        """The images are being read."""

    def opened(self, data: StudyData) -> None:
        """The images are read; `data` describes them."""

    def planned(self, total: int, finished: int) -> None:
        """The study has `total` runs, of which `finished` were finished before."""

    def measuring(self, done: int, total: int) -> None:
        """Latency is being measured."""

    def step(self, run: str, epoch: int, epochs: int, step: int, steps: int, value: float | None) -> None:
        """A run is at this step; `value` is the latest primary metric on the validation part."""

    def finished(
        self,
        run: str,
        metric: Metric,
        value: float,
        seconds: float,
        waited: float | None = None,
        part: str = "test",
    ) -> None:
        """A run has finished; `waited` is the share of its time that was spent waiting for images."""

    def failed(self, run: str, message: str) -> None:
        """A run has failed."""


class QueuedWatch(Watch):
    """Sends steps from a worker process to the watch of the process that started it."""

    def __init__(self, queue: Any):
        self.queue = queue

    def step(self, *position: Any) -> None:
        """Put the call on the queue."""
        self.queue.put(position)
