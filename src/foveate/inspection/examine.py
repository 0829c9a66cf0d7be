"""What explain, robustness and transfer have in common: from a request to the path of its record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from foveate.inspection.find_trained import find_trained
from foveate.inspection.settings import ExaminationSettings
from foveate.inspection.sources import check_examination, check_out
from foveate.inspection.trained import Trained, study_of
from foveate.records.environment import Environment
from foveate.studies.engine.environment import (
    available_cores,
    command_line,
    describe_environment,
)
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import OnProgress

__all__ = ["Work", "examine"]


@dataclass(frozen=True)
class Work:
    """What an engine is given: the networks, the folder of its record, where it runs, and its progress.

    `command` and `environment` are those that the record states.
    """

    trained: list[Trained]
    folder: Path
    device: torch.device
    command: str
    environment: Environment
    on_progress: OnProgress


def examine(
    sources: Sequence[str],
    settings: ExaminationSettings,
    engine: Callable[[Work], Path],
    on_progress: OnProgress,
) -> Path:
    """Examine the networks that `sources` name by `engine`, and return the path of the record.

    The record lies in the folder `settings.out`, by default in that of the networks' study.

    Raises:
        RequestError: no such network, or the folder cannot be written to.
    """
    check_examination(sources, settings)
    trained = find_trained(sources, trust_code=settings.trust_code)
    folder = settings.out or study_of(trained) or Path("studies") / trained[0].name
    check_out(folder)
    machine = Machine(settings.device, settings.threads or available_cores())
    torch.set_num_threads(machine.threads)
    environment = describe_environment(machine.torch_device, machine.threads)
    work = Work(trained, folder, machine.torch_device, command_line(), environment, on_progress)
    return engine(work)
