"""The commands that train: compare, ablate, sweep; and plan, which says what they take."""

from pathlib import Path
from typing import Annotated, Any

import typer

from foveate.cli.flags import with_study_flags
from foveate.cli.output import console_beside, finish, write_json_to
from foveate.studies.spec.request import StudyRequest

__all__ = ["ablate", "compare", "plan", "sweep"]


@with_study_flags
def compare(
    asked: StudyRequest,
    file: Annotated[
        Path | None, typer.Argument(metavar="STUDY.yaml", help="Read these keys from a file.")
    ] = None,
    attention: Annotated[str | None, typer.Option(help="For example none,se,'dmsca(reduction=8)'.")] = None,
    backbones: Annotated[
        str | None, typer.Option(help="Whole networks instead: resnet50,torchvision/shufflenet_v2_x1_0 …")
    ] = None,
) -> None:
    """Train attention mechanisms side by side, and say which is worth its cost.

    Every mechanism is trained under the same recipe on the same seeds: the same split, the same order of
    images, the same initial backbone. Give the same command again and it goes on where it was stopped.
    """
    _study(asked, attention=attention, backbones=backbones)


@with_study_flags
def ablate(
    asked: StudyRequest,
    mechanism: Annotated[
        str, typer.Argument(metavar="MECHANISM", help="dmsca or sgfa; options in parentheses stay fixed.")
    ],
) -> None:
    """Take a mechanism apart: its parts added one at a time and left out one at a time.

    Says what each part gains, with intervals, and what it costs. Goes on where it was stopped.
    """
    _study(asked, ablate=mechanism)


@with_study_flags
def sweep(
    asked: StudyRequest,
    mechanism: Annotated[
        str, typer.Argument(metavar="MECHANISM", help="Any; options in parentheses stay fixed.")
    ],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="OPTION=VALUES …", help="reduction=4,8,16 temperature=0.5,1,learned kernel_sizes='3|3,5'."
        ),
    ],
    search: Annotated[
        str | None,
        typer.Option(help="optuna: search the options together, then test the best that was found."),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Of the search.", show_default="20")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Where the search is remembered: an SQLAlchemy URL.", show_default="OUT/search.db"),
    ] = None,
) -> None:
    """Vary the options of a mechanism, one at a time, the others as they are.

    Accuracy, parameters, multiply-adds and latency of each value. Goes on where it was stopped.
    """
    _study(asked, {"engine": search, "trials": trials, "storage": storage}, sweep=mechanism, values=values)


@with_study_flags
def plan(
    asked: StudyRequest,
    file: Annotated[
        Path | None, typer.Argument(metavar="STUDY.yaml", help="Read these keys from a file.")
    ] = None,
    attention: Annotated[str | None, typer.Option(help="As of compare.")] = None,
    backbones: Annotated[str | None, typer.Option(help="As of compare.")] = None,
    ablate_: Annotated[str | None, typer.Option("--ablate", help="As the argument of ablate.")] = None,
    sweep_: Annotated[str | None, typer.Option("--sweep", help="As the first argument of sweep.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--values", help="As the further arguments of sweep; repeat it.")
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            help="Standard deviation of differences between seeds, in points.", show_default="known"
        ),
    ] = None,
) -> None:
    """Say what a study takes before it starts: runs, time on this machine, disk, and what it could detect.

    Times are reckoned from training steps measured here. Nothing is trained and nothing is written.
    """
    from foveate.report.plan.console import plan_table
    from foveate.studies.commands import run_plan

    subject = {"attention": attention, "backbones": backbones, "ablate": ablate_, "sweep": sweep_}
    console = console_beside(asked.json)
    planned = run_plan(asked, subject | {"values": values}, spread, console)
    console.print(plan_table(planned))
    write_json_to(planned, asked.json)


def _study(asked: StudyRequest, search: dict[str, Any] | None = None, **subject: Any) -> None:
    from foveate.studies.commands import run_study

    console = console_beside(asked.json)
    summary = run_study(asked, subject, console, search)
    finish(summary, asked.json, console)
