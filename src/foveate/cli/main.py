"""The command line: parse, call, print."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from foveate.cli.examine import explain, look, robustness, transfer
from foveate.cli.flags import Json
from foveate.cli.output import console_beside, finish, write_json_to
from foveate.cli.process import (
    INTERRUPTED,
    TERMINATED,
    Terminated,
    escape_what_no_terminal_shows,
    fault_in_words,
    flush_streams,
    names_what_cannot_be_read,
    say,
    terminable,
)
from foveate.cli.studies import ablate, compare, plan, sweep
from foveate.errors import RequestError, WorkError, answering_a_command
from foveate.version import __version__

__all__ = ["app", "main"]

RESUMING = ("compare", "ablate", "sweep", "explain", "robustness", "transfer")
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


for command in (compare, ablate, sweep, plan, explain, robustness, transfer, look):
    app.command()(command)


@app.command()
def profile(
    backbone: Annotated[str, typer.Option(help="A timm name: resnet50 …, or torchvision/NAME.")],
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
    from foveate.report.profile.console import profile_console
    from foveate.studies.commands import run_profile

    console = console_beside(json_, wide=True)
    record = run_profile(settings, out, console)
    console.print(profile_console(record))
    if out:
        from foveate.report.profile.build import write_profile

        console.print(f"Report: {write_profile(record, out)}", soft_wrap=True, markup=False)
    write_json_to(record, json_)


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
    console = console_beside(json_)
    if len(folders) == 1:
        from foveate.report.study.build import build_report

        if out:
            raise RequestError("--out is for several studies: the report of one lies in its own folder")
        finish(build_report(folders[0], against), json_, console)
        return
    from foveate.report.joined.build import join_reports
    from foveate.report.joined.tables import joined_console

    joined = join_reports(folders, out, against)
    console.print(joined_console(joined))
    console.print(f"Report: {joined.report}", soft_wrap=True, markup=False)
    write_json_to(joined.to_json(), json_)
    if any(summary.missing for summary in joined.studies):
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
    from foveate.models.export.export import export_file, in_lines

    console = console_beside(json_)
    done = export_file(
        source,
        format_,
        out,
        image_size=image_size,
        on_step=lambda step: console.print(f"{step} …", soft_wrap=True, markup=False),
    )
    for line in in_lines(done):
        console.print(line, soft_wrap=True, markup=False)
    write_json_to(done._asdict(), json_)


@app.command("list")
def list_(json_: Json = None) -> None:
    """Show every mechanism: paper, default place, options, and what it adds to a ResNet-50 at 224×224."""
    from foveate.profiling.catalogue import catalogue, catalogue_table

    described = catalogue()
    console_beside(json_).print(catalogue_table(described))
    write_json_to(described, json_)


def main() -> None:
    """Run the command line and exit.

    Status 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted, 143 terminated.
    """
    with terminable(), answering_a_command():
        status = _run()
    sys.exit(flush_streams(status))


def _run() -> int:
    escape_what_no_terminal_shows()
    try:
        app()
    except RequestError as error:
        say(error)
        return 2
    except WorkError as error:
        say(error)
        return 1
    except OSError as error:  # a path that no file system takes, a folder that may not be read
        say(fault_in_words(error))
        return 2 if names_what_cannot_be_read(error) else 1
    except Terminated:
        say(f"terminated{_goes_on()}")
        return TERMINATED
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say(f"interrupted{_goes_on()}")
        return int(end.code or 0)
    return 0


def _goes_on() -> str:
    return "; the same command goes on from here" * bool(set(sys.argv[1:2]) & set(RESUMING))
