"""The steps of runs on their way from the nodes to the process that shows them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from foveate.studies.engine.watch import Watch

__all__ = ["SECONDS_BETWEEN_STEPS", "steps_to"]

SECONDS_BETWEEN_STEPS = 1.0
"""Between two reports of the steps of a run."""


class LatestSteps:
    """Holds the latest step of each run, for the process that shows them; an actor."""

    def __init__(self) -> None:
        self.latest = dict[Any, tuple[Any, ...]]()

    def put(self, position: tuple[Any, ...]) -> None:
        """Keep the step of a run; its title is the first item."""
        self.latest[position[0]] = position

    def take(self) -> list[tuple[Any, ...]]:
        """Return what came since the last call."""
        taken, self.latest = self.latest, {}
        return list(taken.values())


@contextmanager
def steps_to(watch: Watch) -> Iterator[Any]:
    """Yield the actor to which workers send their steps, which are passed on to `watch` once a second."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    near = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor: Any = (
        ray.remote(num_cpus=0, max_restarts=-1)(LatestSteps).options(scheduling_strategy=near).remote()
    )
    ended = threading.Event()

    def pass_on() -> None:
        while not ended.wait(SECONDS_BETWEEN_STEPS):
            with suppress(ray.exceptions.RayError):  # its node was lost: it starts again elsewhere
                for position in ray.get(actor.take.remote(), timeout=10):
                    watch.step(*position)

    listener = threading.Thread(target=pass_on, daemon=True)
    listener.start()
    try:
        yield actor
    finally:
        ended.set()
        listener.join()
        ray.kill(actor)
