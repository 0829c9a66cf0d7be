"""The command line: parse, call, print."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from foveate.cli_flags import Json, with_study_flags
from foveate.errors import RequestError, WorkError
from foveate.studies.request import StudyRequest
from foveate.version import __version__

__all__ = ["app", "main"]

INTERRUPTED = 130
"""Typer's exit status after Ctrl-C."""
STUDIES = ("compare", "ablate", "sweep")
"""Commands that go on where they were stopped."""

app = typer.Typer(
    help="Is an attention module worth it in your convolutional network, which one, and at what price?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        print(f"foveate {__version__}")
        raise typer.Exit


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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
    from foveate.studies.commands import run_plan
    from foveate.studies.plan_console import plan_table

    subject = {"attention": attention, "backbones": backbones, "ablate": ablate_, "sweep": sweep_}
    console = _console(asked.json)
    planned = run_plan(asked, subject | {"values": values}, spread, console)
    console.print(plan_table(planned))
    _write_json(planned, asked.json)


@app.command()
def profile(
    backbone: Annotated[str, typer.Option(help="A timm name: resnet50, convnext_tiny, cifar_resnet20 …")],
    attention: Annotated[str, typer.Option(help="For example none,se,'dmsca(reduction=8)'.")],
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Side in pixels.", show_default="the backbone's")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    memory_format: Annotated[str, typer.Option(help="contiguous or channels_last.")] = "contiguous",
    mode: Annotated[str, typer.Option(help="inference, or training for whole steps.")] = "inference",
    compile_: Annotated[bool, typer.Option("--compile", help="Through torch.compile.")] = False,
    graph: Annotated[bool, typer.Option("--graph", help="As CUDA graphs: without the launches.")] = False,
    path: Annotated[
        str, typer.Option(help="auto, reference, rearranged, numba or triton: the form of the mechanisms.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of a CPU.", show_default="cores")] = None,
    detail: Annotated[bool, typer.Option("--detail", help="Time the parts of each mechanism.")] = False,
    seconds: Annotated[float, typer.Option(min=0, help="To time for; 11 rounds at least.")] = 30,
    out: Annotated[Path | None, typer.Option(help="Write a page, JSON, CSV and figures here.")] = None,
    json_: Json = None,
) -> None:
    """Measure what attention costs beside the plain backbone: work, latency, memory, and the bounds of it.

    The networks take turns, so that ratios hold on a machine that drifts. Weights are random: they cost the
    same.
    """
    settings = {"compile" if key == "compile_" else key: value for key, value in locals().items()}
    del settings["out"], settings["json_"]
    from foveate.report.profile_console import profile_console
    from foveate.studies.commands import run_profile

    console = _console(json_)
    if not console.is_terminal:
        console.width = 100
    record = run_profile(settings, out, console)
    console.print(profile_console(record))
    if out:
        from foveate.report.profile_build import write_profile

        console.print(f"Report: {write_profile(record, out)}", soft_wrap=True, markup=False)
    _write_json(record, json_)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="STUDY …", help="Folders of studies.")],
    against: Annotated[
        str | None,
        typer.Option(help="Put an article's figures beside them: dmsca-article or sgfa-article."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of several studies' page.", show_default="joined, beside the first"),
    ] = None,
    json_: Json = None,
) -> None:
    """Build a study's report again from its records, or join several studies in one page.

    Joined studies stand side by side, and the page says first what they differ in.
    """
    console = _console(json_)
    if len(folders) == 1:
        from foveate.report.build import build_report

        if out:
            raise RequestError("--out is for several studies: the report of one lies in its own folder")
        _finish(build_report(folders[0], against), json_, console)
        return
    from foveate.report.joined import join_reports
    from foveate.report.joined_tables import joined_console

    joined = join_reports(folders, out, against)
    console.print(joined_console(joined))
    console.print(f"Report: {joined['report']}", soft_wrap=True, markup=False)
    _write_json(joined, json_)
    if any(summary["missing"] for summary in joined["studies"]):
        raise typer.Exit(1)


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN_OR_FILE", help="A run's folder, or a file of foveate.save.")
    ],
    format_: Annotated[str, typer.Option("--format", help="onnx or exported-program.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="beside the weights")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side to check at, in pixels.", show_default="the network's")
    ] = None,
    json_: Json = None,
) -> None:
    """Write a trained network as ONNX or a torch.export program, checked by running it beside the original.

    Takes any batch, and any height and width wherever the network does; it says so where not.
    """
    from foveate.models.export import export_file, in_lines

    console = _console(json_)
    done = export_file(
        source,
        format_,
        out,
        image_size=image_size,
        on_step=lambda step: console.print(f"{step} …", soft_wrap=True, markup=False),
    )
    for line in in_lines(done):
        console.print(line, soft_wrap=True, markup=False)
    _write_json(done._asdict(), json_)


@app.command("list")
def list_(json_: Json = None) -> None:
    """Show every mechanism: paper, default place, options, and what it adds to a ResNet-50 at 224×224."""
    from foveate.studies.catalogue import catalogue, catalogue_table

    described = catalogue()
    _console(json_).print(catalogue_table(described))
    _write_json(described, json_)


def _study(asked: StudyRequest, search: dict[str, Any] | None = None, **subject: Any) -> None:
    from foveate.studies.commands import run_study

    console = _console(asked.json)
    summary = run_study(asked, subject, console, search)
    _finish(summary, asked.json, console)


def _console(json_: Path | None) -> Console:
    """Where people read: standard output, unless that is to carry JSON."""
    return Console(stderr=json_ == Path("-"), highlight=False)


def _finish(summary: dict[str, Any], json_: Path | None, console: Console) -> None:
    from foveate.report.console import console_table

    console.print(console_table(summary))
    console.print(f"Report: {summary['report']}", soft_wrap=True, markup=False)
    _write_json(summary, json_)
    if summary["missing"]:
        raise typer.Exit(1)


def _write_json(summary: dict[str, Any], json_: Path | None) -> None:
    from foveate.files import write_json

    if json_ == Path("-"):
        json.dump(summary, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
        print()
    elif json_ is not None:
        write_json(json_, summary)


def main() -> None:
    """Run the command line: status 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted."""
    try:
        app()
    except RequestError as error:
        _say(error)
        sys.exit(2)
    except WorkError as error:
        _say(error)
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            goes_on = "; the same command goes on from here" * bool(set(sys.argv[1:2]) & set(STUDIES))
            print(f"foveate: interrupted{goes_on}", file=sys.stderr)
        raise


def _say(error: Exception) -> None:
    print(f"foveate: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
