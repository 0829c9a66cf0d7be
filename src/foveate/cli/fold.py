"""The command that folds attention that is a constant into the layers beside it."""

from typing import Annotated

from cyclopts import Parameter

from foveate.cli.examine import local_runs
from foveate.cli.flags import SETTINGS, Json, TrustCode
from foveate.cli.output import console_beside, write_json_to
from foveate.cli.process import loading
from foveate.errors import RequestError
from foveate.inspection.fold.settings import FoldSettings, find_files
from foveate.inspection.settings import ExaminationSettings, OtherImages
from foveate.storage.opening import is_url
from foveate.studies.spec.completers import Device, trained
from foveate.studies.spec.flag_groups import MACHINE

__all__ = ["fold"]


def fold(
    source: Annotated[
        str,
        Parameter(
            completer=trained,
            help="Trained network: the folder or URL of a run, a safetensors file, or BACKBONE=FILE.",
        ),
    ],
    /,
    *,
    settings: Annotated[FoldSettings, SETTINGS] = FoldSettings(),
    images: Annotated[OtherImages, SETTINGS] = OtherImages(),
    device: Annotated[
        Device, Parameter(group=MACHINE, help="Device to run on: auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    threads: Annotated[
        int | None,
        Parameter(group=MACHINE, help="Number of CPU threads; by default the available cores."),
    ] = None,
    trust_code: TrustCode = False,
    json: Json = None,
) -> int:
    """Make attention that is a constant part of the layers beside it, so that it costs nothing.

    Each gate is replaced by its mean for each channel, site by site, from the one that matters least, while
    accuracy on validation and on training images loses at most --max-loss. The constants go into the weights
    of a norm, a convolution or a linear layer, which is exact. Without any attention left, the file is that
    of the backbone.

    The test images are answered once before and once after. The exit status is 1 if nothing could be folded;
    which sites react is then said.
    """
    from foveate.inspection.sources import check_examination

    settings.check()
    if is_url(source) and settings.out is None:
        raise RequestError(f"{source} is a URL: give --out, the file to write here")
    (source,) = local_runs([source])
    files = find_files(source, settings.out)
    where = ExaminationSettings(
        out=files.record.absolute().parent, device=device, threads=threads, trust_code=trust_code
    )
    check_examination([source], where)
    images.check()
    console = console_beside(json, wide=True)
    with loading():
        from foveate.cli.bar import shown_on
        from foveate.inspection.examine import examine
        from foveate.inspection.fold.engine import fold_trained
        from foveate.records.files import read_record
        from foveate.records.fold import FoldRecord
        from foveate.report.fold.console import fold_console, fold_sentences

    with shown_on(console) as on_progress:
        path = examine([source], where, lambda work: fold_trained(work, settings, images, files), on_progress)
    record = read_record(path, FoldRecord, shown=True)
    console.print(fold_console(record, files.weights.parent))
    write_json_to(record.to_json() | {"sentences": fold_sentences(record)}, json)
    return int(not record.order)
