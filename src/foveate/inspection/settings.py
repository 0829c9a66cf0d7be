"""Which images trained networks are examined on, where that runs, and where its record goes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from cyclopts import Parameter

from foveate.data.source import check_source
from foveate.errors import RequestError
from foveate.studies.spec.completers import Device, data_sets
from foveate.studies.spec.flag_groups import IMAGES, MACHINE, NETWORK, OUTPUT

__all__ = ["Columns", "ExaminationSettings", "OtherImages", "check_port"]


class Columns(TypedDict, total=False):
    """The columns of a table of images that are given; `load_data` finds the others."""

    image_column: str
    label_column: str


@dataclass(frozen=True, kw_only=True)
class OtherImages:
    """Images that replace those of the networks' study.

    Attributes:
        data: Other images of the same classes; by default those of the networks' study.
        image_column: Column of the images of --data, for a parquet, hub or CSV data set with several; by
            default the only one.
        label_column: Column of the labels of --data, for a parquet, hub or CSV data set with several; by
            default the only one, or the one with a usual name.
    """

    data: Annotated[str | None, Parameter(group=IMAGES, completer=data_sets)] = None
    image_column: Annotated[str | None, Parameter(group=IMAGES)] = None
    label_column: Annotated[str | None, Parameter(group=IMAGES)] = None

    @property
    def columns(self) -> Columns:
        """The columns that are given."""
        columns = Columns()
        if self.image_column is not None:
            columns["image_column"] = self.image_column
        if self.label_column is not None:
            columns["label_column"] = self.label_column
        return columns

    def check(self) -> None:
        """Raise RequestError if there are no such images, or a column is given without them."""
        if self.data is not None:
            check_source(self.data)
        elif self.columns:
            flag = f"--{next(iter(self.columns)).replace('_', '-')}"
            raise RequestError(f"{flag} is a column of the images that --data names: give --data, too")


@dataclass(frozen=True, kw_only=True)
class ExaminationSettings:
    """Where an examination runs, and where its record goes.

    Attributes:
        out: Folder for the record and its report; by default the folder of the study.
        device: Device to run on: auto, cpu, cuda, cuda:N or mps.
        threads: Number of CPU threads; by default the available cores.
        trust_code: Run the source code of mechanisms of your own, which the runs and files hold; by default
            they are refused.
    """

    out: Annotated[Path | None, Parameter(group=OUTPUT)] = None
    device: Annotated[Device, Parameter(group=MACHINE)] = "auto"
    threads: Annotated[int | None, Parameter(group=MACHINE)] = None
    trust_code: Annotated[bool, Parameter(group=NETWORK)] = False


def check_port(port: int) -> None:
    """Raise RequestError unless `port` is the number of a port, or 0."""
    if not 0 <= port < 65536:
        raise RequestError(f"--port must be from 0 to 65535, got {port}")
