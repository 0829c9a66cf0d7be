"""The commands on networks and mechanisms themselves: profile, export, list and sites."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from foveate.cli.flags import SETTINGS, Json, TrustCode
from foveate.cli.output import console_beside, write_json_to
from foveate.cli.process import loading
from foveate.errors import RequestError
from foveate.files import find_obstacle
from foveate.inspection.deployment.settings import ExportSettings
from foveate.models.backbones.names import check_backbone
from foveate.profiling.settings import ProfileSettings
from foveate.studies.spec import completers
from foveate.studies.spec.flag_groups import OUTPUT

if TYPE_CHECKING:
    from foveate.records.catalogue import Catalogue
    from foveate.studies.spec.candidate import Candidate

__all__ = ["export", "list_mechanisms", "list_sites", "profile"]


def profile(
    *,
    settings: Annotated[ProfileSettings, SETTINGS],
    out: Annotated[
        Path | None,
        Parameter(
            group=OUTPUT, help="Folder for a page with JSON, CSV and figures; by default none is written."
        ),
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
        console.print(f"Report: {write_profile(record, out)}", soft_wrap=True)
    write_json_to(record.to_json(), json)
    return 0


def export(
    source: Annotated[Path, Parameter(help="Folder of a run, or a file that foveate.save wrote.")],
    /,
    *,
    settings: Annotated[ExportSettings, SETTINGS] = ExportSettings(),
    image_size: Annotated[
        int | None,
        Parameter(help="Side of the images to check with, in pixels; by default the network's own."),
    ] = None,
    output_names: Annotated[
        tuple[str, ...],
        Parameter(
            help="Names of the outputs, separated by commas, in the network's order; by default logits, or "
            "the keys of what it returns."
        ),
    ] = (),
    trust_code: TrustCode = False,
    out: Annotated[
        Path | None, Parameter(group=OUTPUT, help="File to write; by default beside the weights.")
    ] = None,
    json: Json = None,
) -> int:
    """Write a trained network as ONNX or a torch.export program, and check that its outputs are the same.

    The file takes any batch size, and any height and width wherever the network does; the check says where
    not. An int8 file is not the same: the check says by how much it differs.
    """
    settings.check(source, out)
    console = console_beside(json)
    with loading():
        from foveate.inspection.deployment.export import export_trained
        from foveate.models.export.exported import in_lines

    done, calibrated_with = export_trained(
        source,
        out,
        settings,
        image_size=image_size,
        output_names=output_names or None,
        trust_code=trust_code,
        on_step=lambda step: console.print(f"{step} …", soft_wrap=True),
    )
    for line in in_lines(done):
        console.print(line, soft_wrap=True)
    write_json_to(done.to_json() | {"calibrated_with": calibrated_with}, json)
    return 0


def list_mechanisms(
    *mechanisms: Annotated[
        str,
        Parameter(
            completer=completers.mechanism,
            help="Mechanisms to show, or classes of your own (mine.py:MyAttention); by default all of "
            "foveate's.",
        ),
    ],
    json: Json = None,
) -> int:
    """Show every mechanism: paper, default place, options, and what it adds to a ResNet-50 at 224×224."""
    from foveate.records.catalogue import read_catalogue
    from foveate.report.catalogue.console import catalogue_table
    from foveate.studies.spec.candidate import parse_candidates

    candidates = parse_candidates(mechanisms) if mechanisms else ()
    console = console_beside(json)
    described = read_catalogue()
    if candidates:
        described = _listed(described, candidates)
    console.print(catalogue_table(described))
    write_json_to(described.to_json(), json)
    return 0


def _listed(all_known: "Catalogue", candidates: "Sequence[Candidate]") -> "Catalogue":
    """Return the catalogue of these mechanisms; classes of a person's own are measured."""
    known = {one.name: one for one in all_known.mechanisms}
    if not all(candidate.name in known for candidate in candidates):
        with loading():
            from foveate.profiling.catalogue import describe_custom

        known |= {one.name: describe_custom(one) for one in candidates if one.is_custom}
    return all_known.model_copy(update={"mechanisms": tuple(known[one.name] for one in candidates)})


def list_sites(
    model: Annotated[
        str,
        Parameter(
            completer=completers.backbone_names, help="Network: a name of timm's, or torchvision/NAME."
        ),
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
