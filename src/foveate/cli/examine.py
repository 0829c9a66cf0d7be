"""The commands that examine trained networks: explain, look, robustness, transfer."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from foveate.cli.flags import Json
from foveate.cli.output import console_beside, write_json_to
from foveate.errors import RequestError

__all__ = ["explain", "look", "robustness", "transfer"]

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN …",
        help="A study's folder, a run's, a safetensors file, BACKBONE=FILE, or a timm name.",
    ),
]
DataFlag = Annotated[
    str | None,
    typer.Option("--data", help="Other images of the same classes.", show_default="the runs' own test part"),
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the record.", show_default="the study's")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Of a CPU.", show_default="cores")]


def explain(
    runs: Runs,
    images: Annotated[
        Path | None, typer.Option(help="A folder of images to look at, instead of the test part.")
    ] = None,
    data: DataFlag = None,
    method: Annotated[str, typer.Option(help="gradcam++ or gradcam.")] = "gradcam++",
    layer: Annotated[
        str | None, typer.Option(help="Whose output is looked at.", show_default="end of the last stage")
    ] = None,
    boxes: Annotated[Path | None, typer.Option(help="JSON: path of an image → [x0, y0, x1, y1].")] = None,
    masks: Annotated[Path | None, typer.Option(help="A folder of masks, named as the images.")] = None,
    mask_object: Annotated[
        str | None,
        typer.Option(
            help="Values of the masks that are the object: 1, 1,2 or 128-255.", show_default="not 0"
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Images that are scored, spread over the classes.")
    ] = 1000,
    show: Annotated[int, typer.Option(min=1, help="Images in the picture.")] = 8,
    road: Annotated[
        int, typer.Option(min=0, help="Images taken to pieces for ROAD, ten forwards each.")
    ] = 100,
    out: Out = None,
    device: Device = "auto",
    threads: Threads = None,
    json_: Json = None,
) -> None:
    """Show where every mechanism looks, side by side, and score the maps.

    Grad-CAM++ of each network on the same images, the mechanisms' own maps, and how well the maps keep to the
    object, to themselves, and to what the network answers by. Goes on where it was stopped.
    """
    from foveate.inspection.explain.engine import ExplainSettings
    from foveate.inspection.explain.engine import explain as engine

    settings = ExplainSettings(
        method=method,
        layer=layer,
        images=images,
        boxes=boxes,
        masks=masks,
        mask_object=mask_object,
        limit=limit,
        show=show,
        road=road,
    )
    _examine(lambda work: engine(work, settings, data), runs, out, device, threads, json_)


def robustness(
    runs: Runs,
    data: DataFlag = None,
    corruptions: Annotated[
        str, typer.Option(help="common (the 15), article, names (fog,noise_15 …), or '' for none.")
    ] = "common",
    severities: Annotated[str, typer.Option(help="From 1 to 5.")] = "1,2,3,4,5",
    noise: Annotated[str | None, typer.Option(help="Gaussian noise besides, by its σ of 255: 15,25.")] = None,
    prepared: Annotated[
        Path | None, typer.Option(help="A folder in the layout of CIFAR-10-C or ImageNet-C, instead.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="YAML: label or folder of the prepared set → class of the runs.")
    ] = None,
    attacks: Annotated[
        str | None, typer.Option(help="fgsm,pgd,ensemble: on the runs' validation images.")
    ] = None,
    eps: Annotated[str, typer.Option(help="L∞ bounds of the attacks, of 255.")] = "1,8",
    attack_images: Annotated[int, typer.Option(min=1, help="Images attacked, of each run.")] = 200,
    images: Annotated[
        int | None, typer.Option(min=1, help="Test images, spread over the classes.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is random in corruptions and attacks.")] = 0,
    out: Out = None,
    device: Device = "auto",
    threads: Threads = None,
    json_: Json = None,
) -> None:
    """Test every mechanism on the same corrupted images, and under attack.

    Accuracy and calibration by corruption and severity, the mean corruption error relative to plain, paired
    tests by seed. Goes on where it was stopped.
    """
    from foveate.inspection.robustness.engine import RobustnessSettings
    from foveate.inspection.robustness.engine import robustness as engine

    settings = RobustnessSettings(
        corruptions=_names(corruptions),
        severities=_numbers(severities, "--severities", int),
        noise=_numbers(noise, "--noise", float),
        prepared=prepared,
        classes=classes,
        attacks=_names(attacks),
        eps=_numbers(eps, "--eps", float),
        attack_images=attack_images,
        images=images,
        seed=seed,
    )
    _examine(lambda work: engine(work, settings, data), runs, out, device, threads, json_)


def transfer(
    runs: Runs,
    to: Annotated[str, typer.Option(help="The other set: digits, a folder or a hub name.")],
    how: Annotated[
        str | None,
        typer.Option(help="direct, probe, finetune.", show_default="direct where classes map, probe"),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="YAML: class of the other set → class of the runs' own set.")
    ] = None,
    attach: Annotated[
        str | None, typer.Option(help="Mechanisms to put into plain runs before fine-tuning: se,dmsca.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Of fine-tuning: a name, or a YAML file.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of fine-tuning.", show_default="10")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of that recipe.")
    ] = None,
    train_fraction: Annotated[float, typer.Option(help="Share of the training part that is used.")] = 1.0,
    images: Annotated[
        int | None, typer.Option(min=1, help="Test images, spread over the classes.", show_default="all")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of fine-tuning, for networks without one.")] = 1,
    out: Out = None,
    device: Device = "auto",
    threads: Threads = None,
    json_: Json = None,
) -> None:
    """Carry networks over to another set of images: directly, by a linear probe, by fine-tuning.

    Directly where classes map, by name or by a file. Which mechanism knows more of what it has not seen, and
    which classes gain and lose. Goes on where it was stopped.
    """
    from foveate.inspection.transfer.engine import TransferSettings
    from foveate.inspection.transfer.engine import transfer as engine
    from foveate.studies.spec.candidate import parse_candidates
    from foveate.training.recipe import parse_setting

    changes = dict(parse_setting(text) for text in set_ or ())
    settings = TransferSettings(
        to=to,
        how=_names(how),
        classes=classes,
        attach=parse_candidates(attach) if attach else (),
        recipe=recipe,
        changes=changes | ({"epochs": epochs} if epochs else {}),
        images=images,
        train_fraction=train_fraction,
        seeds=seeds,
    )
    _examine(lambda work: engine(work, settings), runs, out, device, threads, json_)


def look(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study, or of one run.")],
    host: Annotated[str, typer.Option(help="Where to listen; others can reach it unless it is this.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 7860,
    data: Annotated[
        str | None, typer.Option(help="Images for the examples.", show_default="the study's")
    ] = None,
    device: Device = "auto",
) -> None:
    """Open a local page: drop an image, see what every mechanism answers and where it looks.

    Predictions, heat maps and the mechanisms' own maps side by side, layer by layer. Ctrl-C ends it.
    """
    from foveate.look import serve

    serve(study, host, port, data=data, device=device)


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


Number = TypeVar("Number", int, float)


def _numbers(given: str | None, flag: str, kind: type[Number]) -> tuple[Number, ...]:
    try:
        return tuple(kind(number) for number in _names(given))
    except ValueError as error:
        raise RequestError(f"{flag} {given}: expected numbers with commas between them") from error


def _examine(
    engine: Callable[[Any], Path],
    runs: list[str],
    out: Path | None,
    device: str,
    threads: int | None,
    json_: Path | None,
) -> None:
    from foveate.inspection.examine import Examination, examine
    from foveate.report.section_console import section_console

    console = console_beside(json_, wide=True)
    examined, page = examine(Examination(runs, out, device, threads), console, engine)
    console.print(section_console(examined))
    console.print(f"Report: {page}", soft_wrap=True, markup=False)
    record = {key: value for key, value in examined.record.items() if key != "kept"}
    summary = {"sentences": examined.section.sentences, "summary": examined.summary, "report": page}
    write_json_to(record | summary, json_)
    if examined.unmeasured:
        raise typer.Exit(1)
