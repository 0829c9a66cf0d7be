"""Tasks that networks are trained for, one per file: steps of a training, loss, metrics, image scores."""

from foveate.errors import RequestError, unknown_name
from foveate.tasks.classification import Classification
from foveate.tasks.detection import Detection
from foveate.tasks.segmentation import Segmentation
from foveate.tasks.settings import TaskSettings
from foveate.tasks.task import Task, TaskSteps

__all__ = ["TASKS", "Task", "TaskSettings", "TaskSteps", "find_task"]

TASKS: dict[str, Task] = {
    "classification": Classification(),
    "detection": Detection(),
    "segmentation": Segmentation(),
}
"""The tasks by name."""


def find_task(name: str) -> Task:
    """Return the task called `name`, or raise RequestError with the nearest names."""
    if name not in TASKS:
        raise RequestError(unknown_name("task", name, TASKS))
    return TASKS[name]
