"""The commands on networks and mechanisms themselves: profile, export, list and sites."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.cli.flags import OUTPUT, SETTINGS, Json
from foveate.cli.output import console_beside, write_json_to
from foveate.cli.process import loading
from foveate.errors import RequestError
from foveate.files import find_obstacle
from foveate.models.backbones.names import check_backbone
from foveate.models.export.formats import FORMATS, check_export
from foveate.profiling.settings import ProfileSettings
from foveate.studies.spec.completers import backbone_names, one_of

__all__ = ["export", "list_mechanisms", "list_sites", "profile"]


def profile(
    *,
    settings: Annotated[ProfileSettings, SETTINGS],
    out: Annotated[
        Path | None, Parameter(group=OUTPUT, help="Folder for a page with JSON, CSV and figures.")
    ] = None,
    json: Json = None,
) -> int:
    """Measure what attention costs beside the baseline: work, latency, memory, and what bounds them.

    The networks are timed in turns, so that ratios hold on a machine whose speed drifts. Weights are random,
    which does not change the cost.
    """
    settings.check()
    console = console_beside(json, wide=True)
    if out and (there := find_obstacle(out)):
        raise RequestError(f"--out {out}: {there} is no folder that can be written to. Give another")
    with loading():
        from foveate.cli.bar import shown_on
        from foveate.profiling.engine import profile as measure
        from foveate.profiling.spec import make_profile
        from foveate.report.profile.build import write_profile
        from foveate.report.profile.console import profile_console

    spec = make_profile(settings)
    with shown_on(console) as on_progress:
        record = measure(spec, on_progress)
    console.print(profile_console(record))
    if out:
        console.print(f"Report: {write_profile(record, out)}", soft_wrap=True, markup=False)
    write_json_to(record.to_json(), json)
    return 0


def export(
    source: Annotated[Path, Parameter(help="Folder of a run, or a file that foveate.save wrote.")],
    /,
    *,
    format: Annotated[
        str, Parameter(completer=one_of(FORMATS), help="Format to write: onnx or exported-program.")
    ] = "onnx",
    image_size: Annotated[
        int | None,
        Parameter(help="Side of the images to check with, in pixels; by default the network's own."),
    ] = None,
    out: Annotated[
        Path | None, Parameter(group=OUTPUT, help="File to write; by default beside the weights.")
    ] = None,
    json: Json = None,
) -> int:
    """Write a trained network as ONNX or a torch.export program, and check that its outputs are the same.

    The file takes any batch size, and any height and width wherever the network does; the check says where
    not.
    """
    check_export(source, format, out)
    console = console_beside(json)
    with loading():
        from foveate.models.export.export import export_file, in_lines

    done = export_file(
        source,
        format,
        out,
        image_size=image_size,
        on_step=lambda step: console.print(f"{step} …", soft_wrap=True, markup=False),
    )
    for line in in_lines(done):
        console.print(line, soft_wrap=True, markup=False)
    write_json_to(done._asdict(), json)
    return 0


def list_mechanisms(*, json: Json = None) -> int:
    """Show every mechanism: paper, default place, options, and what it adds to a ResNet-50 at 224×224."""
    from foveate.records.catalogue import read_catalogue
    from foveate.report.catalogue.console import catalogue_table

    console = console_beside(json)
    described = read_catalogue()
    console.print(catalogue_table(described))
    write_json_to(described.to_json(), json)
    return 0


def list_sites(
    model: Annotated[
        str,
        Parameter(completer=backbone_names, help="Network: a name of timm's, or torchvision/NAME."),
    ],
    /,
    *,
    image_size: Annotated[
        int | None, Parameter(help="Side of the images in pixels; by default the network's own.")
    ] = None,
    json: Json = None,
) -> int:
    """Show where attention can go in a network: place, stage, channels, map size, and the path of the module.

    A candidate takes such a path, an ending of paths, or a regular expression: se(at="layer3.*bn2").
    """
    check_backbone(model)
    if image_size is not None and image_size < 1:
        raise RequestError(f"--image-size {image_size}: expected a whole number of at least 1")
    console = console_beside(json, wide=True)
    with loading():
        from foveate.inspection.sites import list_sites as find_sites
        from foveate.report.sites.console import sites_table

    listed = find_sites(model, image_size)
    console.print(sites_table(listed))
    write_json_to(listed.to_json(), json)
    return 0
