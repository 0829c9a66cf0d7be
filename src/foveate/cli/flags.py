"""The flags that all commands share that train: which data, how, where and on what."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from foveate.studies.spec.request import StudyRequest

__all__ = ["Json", "with_study_flags"]

RECIPE_KEYS = ("epochs", "batch_size", "learning_rate", "precision")
MACHINE_KEYS = {"device": "device", "threads": "threads", "workers": "workers", "log": "logs"}

Json = Annotated[
    Path | None, typer.Option("--json", help="Write the summary as JSON here; - is standard output.")
]


def _flags(
    file: Annotated[
        Path | None, typer.Option("--study", metavar="STUDY.yaml", help="Read these keys from a file.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="digits, a folder of images or parquet files, or a hub name.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="A timm name: cifar_resnet20, resnet50, convnext_tiny …")
    ] = None,
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
    control: Annotated[
        str | None,
        typer.Option(help="Beside each mechanism a plain backbone as dear: parameters, macs or latency."),
    ] = None,
    grow: Annotated[
        str | None, typer.Option(help="How --control grows it: width or depth.", show_default="width")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="An article whose printed figures stand beside: dmsca-article, sgfa-article."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study's folder.", show_default="studies/DATA-BACKBONE …")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Runs at a time, a process each.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Of a run.", show_default="cores / jobs")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images too many for memory.")] = 2,
    log: Annotated[str, typer.Option(help="none, csv or tensorboard, in each run's folder.")] = "none",
    json_: Json = None,
) -> StudyRequest:
    given = locals()
    recipe_changes = {key: given.pop(key) for key in RECIPE_KEYS}
    machine = {name: given.pop(key) for key, name in MACHINE_KEYS.items()}
    file, out, jobs, against = (given.pop(key) for key in ("file", "out", "jobs", "against"))
    json_ = given.pop("json_")
    recipe_settings = given.pop("set_") or []
    switches = ("pretrained", "upscale", "skip_broken")
    study = given | {key: given[key] or None for key in switches}  # a study file may have them switched on
    return StudyRequest(file, study, recipe_changes, recipe_settings, out, machine, jobs, against, json_)


def with_study_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared flags behind its own; they come gathered, as its argument `asked`."""
    shared = inspect.signature(_flags).parameters
    own = [one for one in inspect.signature(command).parameters.values() if one.name != "asked"]
    parameters = [*own, *(one for one in shared.values() if one.name not in {mine.name for mine in own})]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        asked = _flags(**{name: given[name] for name in shared if name in given})
        command(**{one.name: given[one.name] for one in own}, asked=asked)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
