"""What the command line calls: from flags to a study, and the study shown as it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from foveate.errors import RequestError, unknown_name
from foveate.files import find_obstacle
from foveate.profiling.engine import profile
from foveate.profiling.settings import make_profile
from foveate.report.study.articles import find_article
from foveate.studies.compare import compare
from foveate.studies.engine.bar import shown_on
from foveate.studies.engine.environment import available_cores, check_threads, command_line
from foveate.studies.engine.folder import refuse_unusable_folder
from foveate.studies.engine.progress import ProgressWatch
from foveate.studies.engine.run import Machine
from foveate.studies.plan import plan
from foveate.studies.search import SearchSettings, search
from foveate.studies.spec.request import StudyRequest
from foveate.studies.spec.study import StudySpec, make_study
from foveate.training.fit import Logs, lightning_device
from foveate.training.recipe import parse_setting, read_yaml

__all__ = ["run_plan", "run_profile", "run_study"]


def run_study(
    asked: StudyRequest,
    subject: Mapping[str, Any],
    console: Console,
    search_settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A study of any kind: flags over the study file's keys, recipe flags over the recipe's."""
    study, machine, jobs = _study(asked, subject), _machine(asked.machine, asked.jobs), asked.jobs
    out = asked.out or Path("studies") / study.name
    settings = _search_settings(search_settings or {})
    if asked.against:
        find_article(asked.against)
    refuse_unusable_folder(out)
    with ProgressWatch(console) as watch:
        data = None
        if settings is not None:
            study, data = search(study, settings, out, machine, jobs, watch)
        return compare(
            study,
            out,
            machine,
            jobs=jobs,
            command=command_line(),
            against=asked.against,
            watch=watch,
            data=data,
        )


def run_plan(
    asked: StudyRequest, subject: Mapping[str, Any], spread: float | None, console: Console
) -> dict[str, Any]:
    """`foveate plan`: the study's flags and keys; `spread` in points."""
    study, machine = _study(asked, subject), _machine(asked.machine, asked.jobs)
    if spread is not None and not 0 < spread <= 100:
        raise RequestError(f"--spread {spread}: expected points of accuracy, over 0 and at most 100")
    out = asked.out or Path("studies") / study.name
    with ProgressWatch(console) as watch:
        fraction = None if spread is None else spread / 100
        return plan(study, out, machine, jobs=asked.jobs, spread=fraction, watch=watch)


def _search_settings(given: Mapping[str, Any]) -> SearchSettings | None:
    asked = _given(given)
    if not asked:
        return None
    engine = asked.pop("engine", None)
    if engine is None:
        raise RequestError(f"--{' and --'.join(asked)} belong to a search: give --search optuna, too")
    if engine != "optuna":
        raise RequestError(unknown_name("search engine", str(engine), ["optuna"]))
    return SearchSettings(**asked)


def _study(asked: StudyRequest, subject: Mapping[str, Any]) -> StudySpec:
    in_file = read_yaml(asked.file) if asked.file is not None else {}
    changes = _given(asked.recipe_changes) | dict(parse_setting(text) for text in asked.recipe_settings)
    return make_study(in_file | _given(asked.study) | _given(subject), changes)


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
    check_threads("--workers", settings["workers"])
    check_threads(f"--jobs {jobs} × --threads {threads} =" if jobs > 1 else "--threads", jobs * threads)
    return Machine(settings["device"], threads, settings["workers"], settings["logs"])
