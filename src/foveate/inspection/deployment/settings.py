"""The settings of `foveate export` and `foveate deploy`."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.inspection.settings import ExaminationSettings, OtherImages
from foveate.models.export.formats import (
    FORMATS,
    PRECISIONS,
    RUNTIMES,
    check_export,
    check_format,
    check_precision,
)
from foveate.records.margin import MARGIN_POINTS
from foveate.studies.spec.completers import data_sets, one_of, several_of
from foveate.studies.spec.flag_groups import DEPLOYMENT, IMAGES, MEASUREMENT

__all__ = ["CALIBRATION_IMAGES", "DeploymentSettings", "ExportSettings"]

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


@dataclass(frozen=True, kw_only=True)
class DeploymentSettings:
    """In which forms networks are deployed, and what is measured of them.

    Attributes:
        runtime: Runtimes, separated by commas: onnxruntime, openvino.
        precision: Precisions beside float32, separated by commas: int8, fp16.
        calibration_images: Images for the ranges of int8, spread over the classes: validation images of each
            run, never test images.
        quantise_gates: Quantise attention in int8, too; by default it stays in float32.
        margin: Points of accuracy that int8 may lose; where it loses more, significantly, the layer to blame
            is looked for.
        limit: Largest number of test images, spread over the classes; by default all.
        seconds: Seconds to measure latency for, at least 11 rounds.
    """

    runtime: Annotated[tuple[str, ...], Parameter(group=DEPLOYMENT, completer=several_of(RUNTIMES))] = (
        "onnxruntime",
    )
    precision: Annotated[
        tuple[str, ...], Parameter(group=DEPLOYMENT, completer=several_of(PRECISIONS[1:]))
    ] = ("int8",)
    calibration_images: Annotated[int, Parameter(group=DEPLOYMENT)] = CALIBRATION_IMAGES
    quantise_gates: Annotated[bool, Parameter(group=DEPLOYMENT)] = False
    margin: Annotated[float, Parameter(group=DEPLOYMENT)] = MARGIN_POINTS
    limit: Annotated[int | None, Parameter(group=IMAGES)] = None
    seconds: Annotated[float, Parameter(group=MEASUREMENT)] = 20.0

    @property
    def share(self) -> float:
        """The margin as a share of the images."""
        return self.margin / 100

    def check(self, where: ExaminationSettings) -> None:
        """Raise RequestError for a value that cannot be used, naming it and the choices."""
        check_at_least(self, calibration_images=1, limit=1)
        if not self.runtime:
            raise RequestError(f"--runtime is empty: expected some of {', '.join(RUNTIMES)}")
        for runtime in self.runtime:
            if runtime not in RUNTIMES:
                raise RequestError(unknown_name("runtime", runtime, RUNTIMES))
        for precision in self.precision:
            if precision not in PRECISIONS[1:]:
                raise RequestError(unknown_name("precision", precision, PRECISIONS[1:]))
        if self.quantise_gates and "int8" not in self.precision:
            raise RequestError("--quantise-gates is for int8: leave it out, or name int8 in --precision")
        if not 0 < self.margin < 100:
            raise RequestError(
                f"--margin must be a number of points above 0 and below 100, got {self.margin:g}"
            )
        if not 0 <= self.seconds < math.inf:
            raise RequestError(f"--seconds must be a finite number of at least 0, got {self.seconds:g}")
        if where.device not in ("auto", "cpu"):
            raise RequestError(
                f"foveate deploy runs on the CPU, and --device is {where.device}: leave it out"
            )
