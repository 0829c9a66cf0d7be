"""The formats of an export, and what can be said of a request for one before torch is imported."""

from pathlib import Path

from foveate.errors import RequestError, unknown_name
from foveate.files import find_obstacle
from foveate.models.checkpoint.file_names import check_there, find_weights

__all__ = ["FORMATS", "PRECISIONS", "RUNTIMES", "check_export", "check_format", "check_precision"]

FORMATS = {"onnx": ".onnx", "exported-program": ".pt2"}
"""The formats, and the endings of their files."""
PRECISIONS = ("fp32", "fp16", "int8")
"""The precisions of an ONNX file: float32, float16, or 8-bit integers by static quantisation."""
RUNTIMES = ("onnxruntime", "openvino")
"""What runs an ONNX file; the second needs the extra `foveate[openvino]`."""


def check_format(format: str) -> None:
    """Raise RequestError, with the nearest names, for an unknown format."""
    if format not in FORMATS:
        raise RequestError(unknown_name("format", format, FORMATS))


def check_precision(format: str, precision: str, *, quantise_gates: bool = False) -> None:
    """Raise RequestError for an unknown precision, or one that `format` does not have."""
    if precision not in PRECISIONS:
        raise RequestError(unknown_name("precision", precision, PRECISIONS))
    if precision != "fp32" and format != "onnx":
        raise RequestError(
            f"precision {precision} is for the format onnx, got {format}: leave one of them out"
        )
    if quantise_gates and precision != "int8":
        raise RequestError(f"the gates are quantised in int8 alone, and the precision is {precision}")


def check_export(source: Path, format: str, path: Path | None) -> Path:
    """Return the file to write: `path`, or by default one beside the weights with the format's own ending.

    Raises:
        RequestError: an unknown format, no weights in `source`, or a file that cannot be written.
    """
    check_format(format)
    name = "network" if source.is_dir() else source.stem
    path = path or (source if source.is_dir() else source.parent) / f"{name}{FORMATS[format]}"
    there = find_obstacle(path.absolute().parent)
    if path.is_dir() or there:
        fault = f"{path} is a folder" if path.is_dir() else f"{there} is no folder that can be written to"
        raise RequestError(f"cannot write to {path}: {fault}. Give the path of a file")
    check_there(find_weights(source))
    return path
