"""The settings of `foveate fold`, and what can be said of a request before torch is imported."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least
from foveate.files import find_obstacle
from foveate.inspection.sources import Pretrained, Run, Study, find_source
from foveate.models.checkpoint.file_names import WEIGHTS
from foveate.records.file_names import FOLD, RESULT, RUNS
from foveate.studies.spec.flag_groups import GATES, IMAGES, OUTPUT

__all__ = ["FoldFiles", "FoldSettings", "find_files"]

LARGEST_LOSS = 50
ENDING = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class FoldSettings:
    """Which attention is folded, and where the result goes.

    Attributes:
        max_loss: Points of accuracy that all folded sites together may lose on validation images, and on
            training images.
        limit: Largest number of validation images, and of training images, spread over the classes.
        out: File for the folded weights; by default fold.safetensors in the folder of the run, or
            NAME-fold.safetensors beside the file NAME. The record is beside it, with the ending .json.
    """

    max_loss: Annotated[float, Parameter(group=GATES)] = 0.1
    limit: Annotated[int, Parameter(group=IMAGES)] = 1000
    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None
    batch_size: Annotated[int, Parameter(parse=False)] = 64
    seconds: Annotated[float, Parameter(parse=False)] = 6.0

    def check(self) -> None:
        """Raise RequestError for a value that cannot be used."""
        if not 0 <= self.max_loss < LARGEST_LOSS:
            raise RequestError(
                f"--max-loss must be a number of points, 0 or more and below {LARGEST_LOSS}, got "
                f"{self.max_loss:g}"
            )
        check_at_least(self, limit=1, batch_size=1)


@dataclass(frozen=True)
class FoldFiles:
    """The file of the folded weights, and that of the record."""

    weights: Path
    record: Path


def find_files(source: str, out: Path | None) -> FoldFiles:
    """Return the files that are written for the network at `source`, a run or a file.

    Raises:
        RequestError: `source` is a whole study, has no attention by its name alone, or is the file to write;
            or that cannot be written.
    """
    found = find_source(source)
    if isinstance(found, Study):
        runs = sorted((found.folder / RUNS).glob(f"*/{RESULT}"))
        one = f", such as {runs[0].parent}" if runs else ""
        raise RequestError(f"{source} is a whole study, and one network is folded at a time: give a run{one}")
    if isinstance(found, Pretrained):
        raise RequestError(
            f"{source} is a name, and its attention, if it has any, is not trained: give a run, a file that "
            "foveate.save wrote, or NAME=FILE"
        )
    if out is None:
        own = found.folder / f"{FOLD}{ENDING}" if isinstance(found, Run) else found.file
        out = own if isinstance(found, Run) else own.with_name(f"{own.stem}-{FOLD}{ENDING}")
    if out.suffix != ENDING:
        raise RequestError(f"--out {out}: expected a file that ends in {ENDING}")
    there = find_obstacle(out.absolute().parent)
    if out.is_dir() or there:
        fault = f"{out} is a folder" if out.is_dir() else f"{there} is no folder that can be written to"
        raise RequestError(f"cannot write to {out}: {fault}. Give the path of a file")
    own = found.folder / WEIGHTS[0] if isinstance(found, Run) else found.file
    if out.exists() and own.exists() and out.samefile(own):
        raise RequestError(f"--out {out} is the file that would be folded: give another")
    record = out.with_suffix(".json")
    if record.exists() and not _is_record(record):
        raise RequestError(
            f"--out {out}: its record would replace {record}, which is not of foveate fold. Give another"
        )
    return FoldFiles(out, record)


def _is_record(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["kind"] == FOLD)
    except (OSError, ValueError, LookupError, TypeError):
        return False
