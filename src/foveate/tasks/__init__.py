"""Tasks that networks are trained for, one per file: loss, metrics and scores of each image."""

from foveate.errors import RequestError, unknown_name
from foveate.tasks.classification import Classification
from foveate.tasks.task import Task

__all__ = ["TASKS", "Task", "find_task"]

TASKS: dict[str, Task] = {"classification": Classification()}
"""The tasks by name."""


def find_task(name: str) -> Task:
    """Return the task called `name`, or raise RequestError with the nearest names."""
    if name not in TASKS:
        raise RequestError(unknown_name("task", name, TASKS))
    return TASKS[name]
