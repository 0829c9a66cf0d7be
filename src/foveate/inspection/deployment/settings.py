"""The settings of `foveate export` and `foveate deploy`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least
from foveate.inspection.settings import OtherImages
from foveate.models.export.formats import (
    FORMATS,
    PRECISIONS,
    check_export,
    check_format,
    check_precision,
)
from foveate.studies.spec.completers import data_sets, one_of
from foveate.studies.spec.flag_groups import DEPLOYMENT, IMAGES

__all__ = ["CALIBRATION_IMAGES", "ExportSettings"]

CALIBRATION_IMAGES = 128


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What is written, and in which precision.

    Attributes:
        format: Format to write: onnx or exported-program.
        precision: Precision of an ONNX file: fp32, fp16 or int8 (static quantisation, per channel).
        calibration_images: Images for the ranges of int8, spread over the classes: validation images of the
            run or of --data, never test images.
        quantise_gates: Quantise attention, too; by default it stays in float32.
        data: Images to calibrate int8 with, of the same classes; by default those of the network's run.
    """

    format: Annotated[str, Parameter(completer=one_of(FORMATS))] = "onnx"
    precision: Annotated[str, Parameter(group=DEPLOYMENT, completer=one_of(PRECISIONS))] = "fp32"
    calibration_images: Annotated[int, Parameter(group=DEPLOYMENT)] = CALIBRATION_IMAGES
    quantise_gates: Annotated[bool, Parameter(group=DEPLOYMENT)] = False
    data: Annotated[str | None, Parameter(group=IMAGES, completer=data_sets)] = None

    def check(self, source: Path, path: Path | None) -> None:
        """Raise RequestError for what cannot be exported, or a setting that has no effect."""
        check_format(self.format)
        check_precision(self.format, self.precision, quantise_gates=self.quantise_gates)
        check_at_least(self, calibration_images=1)
        if self.precision != "int8" and self.data is not None:
            raise RequestError(
                f"--data has the images that int8 is calibrated with, and the precision is {self.precision}: "
                "leave it out, or give --precision int8"
            )
        OtherImages(data=self.data).check()
        check_export(source, self.format, path)
