"""What a study tells whoever watches it; this base class ignores it all."""

from collections.abc import Callable
from typing import Any

__all__ = ["OnProgress", "QueuedWatch", "Watch"]

OnProgress = Callable[[str, int, int], None]
"""Of what is no study: what is being done, how much of it is done, of how much."""


class Watch:
    """Called as a study goes on. `run` is a run's title: `dmsca, seed 1`."""

    def reading(self, source: str) -> None:
        """The images are being read."""

    def opened(self, data: dict[str, Any]) -> None:
        """They are read; `data` is what the study's record says of them."""

    def planned(self, total: int, finished: int) -> None:
        """So many runs in all, so many of them finished before."""

    def measuring(self, done: int, total: int) -> None:
        """Latency is being measured."""

    def step(self, run: str, epoch: int, epochs: int, step: int, steps: int, accuracy: float | None) -> None:
        """A run is at this step; `accuracy` is the last one on validation."""

    def finished(
        self, run: str, accuracy: float, seconds: float, waited: float | None = None, part: str = "test"
    ) -> None:
        """A run is recorded; `accuracy` is the one on that part, `waited` the share spent on images."""

    def failed(self, run: str, message: str) -> None:
        """A run came to nothing."""


class QueuedWatch(Watch):
    """Sends steps from a worker process to the watch of the process that started it."""

    def __init__(self, queue: Any):
        self.queue = queue

    def step(self, *position: Any) -> None:
        """Put the call on the queue."""
        self.queue.put(position)
