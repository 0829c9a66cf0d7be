"""The commands that examine trained networks: explain, robustness, transfer, deploy and look."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from foveate.cli.flags import SETTINGS, Json, Runs, TrustCode
from foveate.cli.output import console_beside, print_page, write_json_to
from foveate.cli.process import loading, print_error
from foveate.data.source import check_source
from foveate.errors import RequestError, WorkError
from foveate.inspection.deployment.settings import DeploymentSettings
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.gates.settings import GateSettings
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.settings import ExaminationSettings, OtherImages, check_port
from foveate.inspection.transfer.settings import TransferSettings
from foveate.records.file_names import RESULT, STUDY
from foveate.storage.opening import is_url, local_folder
from foveate.studies.spec.completers import Device, data_sets, place
from foveate.studies.spec.flag_groups import IMAGES, MACHINE, PAGE

__all__ = ["deploy", "explain", "look", "robustness", "transfer"]

Where = Annotated[ExaminationSettings, SETTINGS]
Images = Annotated[OtherImages, SETTINGS]
OldLimit = Annotated[int | None, Parameter("--images", show=False)]
"""The name that --limit had in foveate 0.1.0, where explain has a folder of images under it."""


def explain(
    *runs: Runs,
    settings: Annotated[ExplainSettings, SETTINGS] = ExplainSettings(),
    gates: Annotated[GateSettings, SETTINGS] = GateSettings(),
    images: Images = OtherImages(),
    where: Where = ExaminationSettings(),
    json: Json = None,
) -> int:
    """Show where every mechanism looks, side by side, and score the heat maps.

    The report has heat maps of each network on the same images, the mechanisms' own maps, and scores: how
    well the maps match the object, how stable they are, and how much the answers rest on what they mark. The
    same command, given again, resumes.

    With --gates it makes no heat maps, and measures instead whether the gates of the attention react to the
    image at all: what accuracy loses when a constant, or another image's gate, takes the place of each.

    In Python, foveate.capture records a network's own maps. foveate.explain is another thing, the former name
    of foveate.kernel_paths, which says by which kernels attention is computed.
    """
    from foveate.inspection.sources import check_examination

    settings.check()
    gates.check(settings)
    runs = local_runs(runs)
    check_examination(runs, where)
    images.check()
    if gates.gates:
        with loading():
            from foveate.inspection.gates.engine import examine_gates

        return _examine(runs, where, json, lambda work: examine_gates(work, gates, settings, images))
    with loading():
        from foveate.inspection.explain.engine import explain as engine

    return _examine(runs, where, json, lambda work: engine(work, settings, images))


def robustness(
    *runs: Runs,
    settings: Annotated[RobustnessSettings, SETTINGS] = RobustnessSettings(),
    images: Images = OtherImages(),
    where: Where = ExaminationSettings(),
    json: Json = None,
    old_limit: OldLimit = None,
) -> int:
    """Test every mechanism on the same corrupted images, and under attack.

    The report has accuracy and calibration, or mAP or mIoU, for each corruption and severity, the mean
    corruption error relative to the baseline (of detectors and segmenters the mean mAP or mIoU), and tests
    that pair the seeds. The same command, given again, resumes.
    """
    from foveate.inspection.robustness.conditions import check_settings
    from foveate.inspection.sources import check_examination

    settings = settings if old_limit is None else replace(settings, limit=_renamed(old_limit))
    check_settings(settings)
    runs = local_runs(runs)
    check_examination(runs, where)
    images.check()
    with loading():
        from foveate.inspection.robustness.engine import robustness as engine

    return _examine(runs, where, json, lambda work: engine(work, settings, images))


def transfer(
    *runs: Runs,
    settings: Annotated[TransferSettings, SETTINGS],
    where: Where = ExaminationSettings(),
    json: Json = None,
    old_limit: OldLimit = None,
) -> int:
    """Transfer networks to another set of images: test them directly, by a linear probe, by fine-tuning.

    The report says which mechanism does best on images that it was not trained on, and which classes gain
    and lose. The same command, given again, resumes.
    """
    from foveate.inspection.sources import check_examination

    settings = settings if old_limit is None else replace(settings, limit=_renamed(old_limit))
    settings.check()
    runs = local_runs(runs)
    check_examination(runs, where)
    check_source(settings.to)
    with loading():
        from foveate.inspection.transfer.engine import transfer as engine

    return _examine(runs, where, json, lambda work: engine(work, settings))


def deploy(
    *runs: Runs,
    settings: Annotated[DeploymentSettings, SETTINGS] = DeploymentSettings(),
    images: Images = OtherImages(),
    where: Where = ExaminationSettings(),
    json: Json = None,
) -> int:
    """Measure every mechanism as it is deployed: in ONNX Runtime, in float32 and quantised to int8.

    The report has accuracy, and latency on one thread, in eager float32 and in each form, the change in
    accuracy with its interval, and the layer to blame where int8 loses much. The same command, given again,
    resumes.
    """
    from foveate.inspection.sources import check_examination

    settings.check(where)
    runs = local_runs(runs)
    where = replace(where, device="cpu")
    check_examination(runs, where)
    images.check()
    with loading():
        from foveate.inspection.deployment.engine import deploy as engine

    return _examine(runs, where, json, lambda work: engine(work, settings, images))


def look(
    study: Annotated[str, Parameter(completer=place, help="Folder or URL of a study, or of one run.")],
    /,
    *,
    host: Annotated[
        str,
        Parameter(
            group=PAGE, help="Address to listen on. With any other, other machines can reach the page."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(group=PAGE, help="Port to listen on; 0 takes any that is free.")] = 7860,
    data: Annotated[
        str | None,
        Parameter(
            group=IMAGES, completer=data_sets, help="Images for the examples; by default those of the study."
        ),
    ] = None,
    device: Annotated[
        Device, Parameter(group=MACHINE, help="Device to run on: auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    trust_code: TrustCode = False,
) -> int:
    """Open a local page: drop an image, and see what every mechanism answers and where it looks.

    Predictions, heat maps and the mechanisms' own maps are shown side by side, layer by layer. Ctrl-C ends
    the page.
    """
    from foveate.inspection.sources import check_examination

    check_port(port)
    (study,) = local_runs([study])
    check_examination([study], ExaminationSettings(device=device))
    OtherImages(data=data).check()
    with loading():
        from foveate.look import serve

    serve(Path(study), host, port, device=device, data=data, trust_code=trust_code)
    return 0


def local_runs(runs: Sequence[str]) -> tuple[str, ...]:
    """Return `runs` with the folder of its local copy, weights included, in place of each URL.

    Raises:
        RequestError: a URL cannot be opened, or there is no study and no finished run behind it.
    """
    return tuple(str(_copy_of(run)) if is_url(run) else run for run in runs)


def _copy_of(url: str) -> Path:
    folder = local_folder(url, large=True)
    if not (folder / STUDY).is_file() and not (folder / RESULT).is_file():
        raise RequestError(f"{url} holds no study and no finished run")
    return folder


def _renamed(limit: int) -> int:
    """Return `limit`, which was given by the name that the flag had before."""
    print_error("--images N is now --limit N; the old name will be removed")
    return limit


def _examine(
    runs: Sequence[str], where: ExaminationSettings, json: Path | None, engine: Callable[[Any], Path]
) -> int:
    """Examine the networks, build the page of the folder, and print the record's section."""
    console = console_beside(json, wide=True)
    with loading():
        from foveate.cli.bar import shown_on
        from foveate.inspection.examine import examine
        from foveate.report.examined import build_examination
        from foveate.report.section_console import section_console
        from foveate.report.sections import read_examined
        from foveate.report.study.build import build_report

    with shown_on(console) as on_progress:
        path = examine(runs, where, engine, on_progress)
    examined, folder = read_examined(path), path.parent
    if not examined.record.rows:
        raise WorkError("nothing could be examined. " + " ".join(examined.record.left_out))
    is_study = (folder / STUDY).is_file()
    page = build_report(folder).report if is_study else build_examination(folder)
    console.print(section_console(examined))
    print_page(page, console)
    record = {key: value for key, value in examined.record.to_json().items() if key != "kept"}
    summary = {"sentences": examined.section.sentences, "summary": examined.summary, "report": str(page)}
    write_json_to(record | summary, json)
    return int(bool(examined.record.unmeasured))
