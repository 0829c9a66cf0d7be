"""What the command line calls: from flags to a study, and the study shown as it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from foveate.errors import RequestError, unknown_name
from foveate.files import find_obstacle
from foveate.studies.compare import compare
from foveate.studies.environment import available_cores, command_line
from foveate.studies.profile import profile
from foveate.studies.profile_progress import shown_on
from foveate.studies.profile_spec import make_profile
from foveate.studies.progress import ProgressWatch
from foveate.studies.run import Machine
from foveate.studies.spec import make_study
from foveate.training.fit import Logs, lightning_device
from foveate.training.recipe import parse_setting, read_yaml

__all__ = ["run_compare", "run_profile"]


def run_compare(
    file: Path | None,
    settings: Mapping[str, Any],
    recipe_changes: Mapping[str, Any],
    recipe_settings: list[str],
    out: Path | None,
    machine: Mapping[str, Any],
    jobs: int,
    console: Console,
) -> dict[str, Any]:
    """`foveate compare`: flags over the study file's keys, recipe flags over the recipe's."""
    in_file = read_yaml(file) if file is not None else {}
    changes = _given(recipe_changes) | dict(parse_setting(text) for text in recipe_settings)
    study = make_study(in_file | _given(settings), changes)
    out = out or Path("studies") / study.name
    with ProgressWatch(console) as watch:
        return compare(study, out, _machine(machine, jobs), jobs=jobs, command=command_line(), watch=watch)


def run_profile(settings: Mapping[str, Any], out: Path | None, console: Console) -> dict[str, Any]:
    """`foveate profile`: check that `out` can be written to, then measure and return the record."""
    spec = make_profile(settings)
    obstacle = find_obstacle(out) if out else None
    if obstacle:
        raise RequestError(f"--out {out}: {obstacle} is no folder that can be written to. Give another")
    with shown_on(console) as on_progress:
        return profile(spec, on_progress)


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _machine(settings: Mapping[str, Any], jobs: int) -> Machine:
    if settings["logs"] not in get_args(Logs):
        raise RequestError(unknown_name("log", settings["logs"], get_args(Logs)))
    lightning_device(settings["device"])
    threads = settings["threads"] or max(available_cores() // jobs, 1)
    return Machine(settings["device"], threads, settings["workers"], settings["logs"])
