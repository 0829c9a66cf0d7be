"""The command line: parse, call, print."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from foveate.errors import RequestError, WorkError
from foveate.version import __version__

__all__ = ["app", "main"]

INTERRUPTED = 130
"""Typer's exit status after Ctrl-C."""

app = typer.Typer(
    help="Is an attention module worth it in your convolutional network, which one, and at what price?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[
    Path | None, typer.Option("--json", help="Write the summary as JSON here; - is standard output.")
]


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        print(f"foveate {__version__}")
        raise typer.Exit


@app.command()
def compare(
    file: Annotated[
        Path | None, typer.Argument(metavar="STUDY.yaml", help="Read these keys from a file.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, a folder of images or parquet files, or a hub name.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="A timm name: cifar_resnet20, resnet50, convnext_tiny …")
    ] = None,
    attention: Annotated[str | None, typer.Option(help="For example none,se,'dmsca(reduction=8)'.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="How many seeds, from 0.", show_default="3")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Overrides the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Overrides the recipe's.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", "--lr", help="Overrides the recipe's.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's name, or a YAML file.", show_default="default")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Start from the backbone's weights.")
    ] = False,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the crop in pixels.", show_default="found")
    ] = None,
    upscale: Annotated[
        bool, typer.Option("--upscale", help="Enlarge images that are smaller than the crop.")
    ] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that cannot be read.")
    ] = False,
    train_fraction: Annotated[
        float | None, typer.Option(help="Use only this share of the training part.")
    ] = None,
    image_column: Annotated[
        str | None, typer.Option(help="Of a parquet or hub set, where it is not clear.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Of a parquet or hub set, where it is not clear.")
    ] = None,
    adjust: Annotated[
        str | None,
        typer.Option(help="Of p for the number of tests: holm or bonferroni.", show_default="holm"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study's folder.", show_default="studies/DATA-BACKBONE")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time, a process each.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of a run.", show_default="cores / jobs")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images too many for memory.")] = 2,
    log: Annotated[str, typer.Option(help="none, csv or tensorboard, in each run's folder.")] = "none",
    json_: Json = None,
) -> None:
    """Train attention mechanisms side by side, and say which is worth its cost.

    Every mechanism is trained under the same recipe on the same seeds: the same split, the same order of
    images, the same initial backbone. Give the same command again and it goes on where it was stopped.
    """
    from foveate.studies.commands import run_compare

    study = {
        "data": data,
        "backbone": backbone,
        "attention": attention,
        "seeds": seeds,
        "recipe": recipe,
        "pretrained": pretrained or None,
        "image_size": image_size,
        "upscale": upscale or None,
        "skip_broken": skip_broken or None,
        "train_fraction": train_fraction,
        "image_column": image_column,
        "label_column": label_column,
        "adjust": adjust,
    }
    changes = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "precision": precision,
    }
    machine = {"device": device, "threads": threads, "workers": workers, "logs": log}
    console = _console(json_)
    summary = run_compare(file, study, changes, set_ or [], out, machine, jobs, console)
    _finish(summary, json_, console)


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
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder.")],
    json_: Json = None,
) -> None:
    """Build a study's report again from its records."""
    from foveate.report.build import build_report

    _finish(build_report(folder), json_, _console(json_))


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
            goes_on = "; the same command goes on from here" * ("compare" in sys.argv[1:2])
            print(f"foveate: interrupted{goes_on}", file=sys.stderr)
        raise


def _say(error: Exception) -> None:
    print(f"foveate: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
