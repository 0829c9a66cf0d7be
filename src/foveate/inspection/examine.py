"""What examines trained networks has this in common: from what was asked to a record and its report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from foveate.errors import RequestError, WorkError
from foveate.files import find_obstacle
from foveate.inspection.find_trained import find_trained
from foveate.inspection.trained import Trained, study_of
from foveate.records.files import STUDY
from foveate.studies.engine.bar import shown_on
from foveate.studies.engine.environment import (
    available_cores,
    check_threads,
    command_line,
    describe_environment,
)
from foveate.studies.engine.run import Machine
from foveate.studies.engine.watch import OnProgress
from foveate.training.fit import lightning_device

__all__ = ["Examination", "Work", "examine"]


@dataclass(frozen=True)
class Examination:
    """What is asked for, whatever is examined."""

    sources: Sequence[str]
    out: Path | None
    device: str
    threads: int | None


@dataclass(frozen=True)
class Work:
    """What an engine is given: the networks, the folder of its record, where it runs, whom it tells."""

    trained: list[Trained]
    folder: Path
    device: torch.device
    about: dict[str, Any]
    on_progress: OnProgress


def examine(asked: Examination, console: Console, engine: Callable[[Work], Path]) -> Any:
    """Examine the networks that `asked` names by `engine`, and build the report of their folder.

    The folder is that of their study, or else `asked.out`. `engine` returns the path of its record.

    Returns:
        the record with its section, and the path of the page.

    Raises:
        RequestError: no such network, or the folder cannot be written to.
        WorkError: nothing could be examined; what was measured is kept.
    """
    from foveate.report.sections import read_examined
    from foveate.report.study.build import build_examination, build_report

    lightning_device(asked.device)
    trained = find_trained(asked.sources)
    folder = asked.out or study_of(trained) or Path("studies") / trained[0].name
    if there := find_obstacle(folder):
        raise RequestError(f"--out {folder}: {there} is no folder that can be written to. Give another")
    check_threads("--threads", asked.threads or 1)
    machine = Machine(asked.device, asked.threads or available_cores())
    torch.set_num_threads(machine.threads)
    about = {
        "command": command_line(),
        "environment": describe_environment(machine.torch_device, machine.threads),
    }
    with shown_on(console) as on_progress:
        path = engine(Work(trained, folder, machine.torch_device, about, on_progress))
    examined = read_examined(path)
    if not examined.record["rows"]:
        raise WorkError("nothing could be examined. " + " ".join(examined.record["left_out"]))
    is_study = (folder / STUDY).is_file()
    return examined, build_report(folder)["report"] if is_study else str(build_examination(folder))
