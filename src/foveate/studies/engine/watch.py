"""The progress of a study, as it is reported to a watcher; the base class ignores it."""

from collections.abc import Callable
from typing import Any

from foveate.records.metric import Metric
from foveate.records.study import StudyData

__all__ = ["OnProgress", "QueuedWatch", "Watch"]

OnProgress = Callable[[str, int, int], None]
"""Of what is no study: what is being done, how much of it is done, of how much."""


class Watch:
    """Called while a study runs. `run` is the title of a run: `dmsca, seed 1`."""

    def reading(self, source: str) -> None:
        """The images are being read."""

    def opened(self, data: StudyData) -> None:
        """They are read; `data` is what the study's record says of them."""

    def planned(self, total: int, finished: int) -> None:
        """So many runs in all, so many of them finished before."""

    def measuring(self, done: int, total: int) -> None:
        """Latency is being measured."""

    def step(self, run: str, epoch: int, epochs: int, step: int, steps: int, value: float | None) -> None:
        """A run is at this step; `value` is the last one of the primary metric on validation."""

    def finished(
        self,
        run: str,
        metric: Metric,
        value: float,
        seconds: float,
        waited: float | None = None,
        part: str = "test",
    ) -> None:
        """A run is recorded; `value` is that of `metric` on the part, `waited` the share spent on images."""

    def failed(self, run: str, message: str) -> None:
        """A run failed."""


class QueuedWatch(Watch):
    """Sends steps from a worker process to the watch of the process that started it."""

    def __init__(self, queue: Any):
        self.queue = queue

    def step(self, *position: Any) -> None:
        """Put the call on the queue."""
        self.queue.put(position)
