"""An ONNX graph with fewer bits: float16 by conversion, int8 by static quantisation.

int8 is onnxruntime's static quantisation in its QDQ form: weights as signed integers with a scale for each
output channel, activations as unsigned ones with the range that they have on calibration images (MinMax). An
operator that is excluded has neither: it computes in float32.
"""

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from foveate.errors import RequestError, WorkError, first_line
from foveate.models.export.exported import Gates
from foveate.models.export.metadata import Metadata
from foveate.models.export.onnx_file import with_metadata
from foveate.models.export.parity import Agreement, Parity, Run, agree_on
from foveate.models.export.scopes import gate_operators, gate_paths
from foveate.models.sites.outputs import INPUT
from foveate.notation import count

__all__ = [
    "CALIBRATION_BATCH",
    "Precision",
    "calibration_agreement",
    "check_calibration",
    "quantised",
    "reduce",
]

CALIBRATION_BATCH = 16
"""Images that are run at a time for the ranges of the activations."""
PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Tells onnxruntime that the graph is optimised, as torch's exporter leaves it: batch norms are folded."""


@dataclass(frozen=True, eq=False)
class Precision:
    """The precision of an ONNX file, and how it is quantised.

    Attributes:
        name: "fp32", "fp16" or "int8".
        calibration: normalised images (N, C, H, W), for int8 alone.
        quantise_gates: whether attention is quantised, too; by default it stays in float32.
    """

    name: str = "fp32"
    calibration: Tensor | None = None
    quantise_gates: bool = False

    @property
    def is_int8(self) -> bool:
        """Whether the file is quantised."""
        return self.name == "int8"


def _check_given(precision: Precision) -> None:
    """Raise RequestError where int8 has no images to calibrate with, or another precision has some."""
    if precision.is_int8 and precision.calibration is None:
        raise RequestError(
            "int8 needs images for the ranges of its activations: give calibration=, a tensor (N, C, H, W) of"
            " a hundred normalised images that no test is on"
        )
    if not precision.is_int8 and precision.calibration is not None:
        raise RequestError("calibration images are for precision int8: leave them out, or ask for int8")


def check_calibration(precision: Precision, shape: tuple[int, int, int]) -> None:
    """Validate the images of `precision`, for a network of images of `shape` (C, H, W).

    Raises:
        RequestError: int8 has none, another precision has some, or they are no normalised images.
    """
    _check_given(precision)
    calibration = precision.calibration
    if calibration is None:
        return
    found = tuple(calibration.shape) if isinstance(calibration, Tensor) else type(calibration).__name__
    fits = isinstance(calibration, Tensor) and calibration.ndim == 4 and len(calibration) > 0
    if not fits or calibration.shape[1] != shape[0] or not calibration.is_floating_point():
        kind = f" of {calibration.dtype}" if isinstance(calibration, Tensor) else ""
        raise RequestError(
            f"calibration is {found}{kind}: give normalised images (N, {shape[0]}, H, W) of floating point"
        )
    if not calibration.isfinite().all():
        raise RequestError("calibration has values that are not finite: expected normalised images")
    if float(calibration.amax() - calibration.amin()) == 0:
        raise RequestError("all pixels of the calibration images are equal: expected images of the real kind")


def reduce(
    network: nn.Module,
    content: bytes,
    metadata: Metadata,
    precision: Precision,
    what: str,
    on_step: Callable[[str], None],
) -> tuple[bytes, Gates | None]:
    """Return the file `content` in another precision, and where its attention is, of int8."""
    import onnx

    proto = onnx.load_from_string(content)
    if not precision.is_int8:
        on_step(f"converting to {precision.name}")
        try:
            return _checked(_to_half(proto), metadata), None
        except Exception as error:  # onnxruntime's converters raise what they like
            raise WorkError(f"cannot write {what} in fp16: {first_line(error)}") from error
    assert precision.calibration is not None
    images = precision.calibration
    _check_images_fit(network, images)
    paths = gate_paths(network)
    operators = gate_operators(proto, paths, what, required=not precision.quantise_gates)
    on_step(f"quantising, calibrated with {count(len(images), 'image')}")
    exclude = [] if precision.quantise_gates else operators
    try:
        written = _checked(quantised(proto, images, exclude, _batch_size(proto)), metadata)
    except WorkError:
        raise
    except Exception as error:
        raise WorkError(f"cannot quantise {what}: {first_line(error)}") from error
    in_gates = "int8" if precision.quantise_gates else "fp32"
    return written, Gates(in_gates, len(paths), len(operators))


def _checked(proto: Any, metadata: Metadata) -> bytes:
    """Return the bytes of a file of `proto` with `metadata`, if it is valid ONNX."""
    import onnx

    onnx.checker.check_model(proto)
    return with_metadata(proto, metadata)


def calibration_agreement(
    network: nn.Module, run: Run, names: Sequence[str], images: Tensor, parity: Parity, what: str
) -> tuple[Parity, Agreement]:
    """Return the differences on the calibration images, with the shapes that were checked before."""
    found, agreement = agree_on(network, run, names, images, CALIBRATION_BATCH, what)
    return found._replace(checked=parity.checked, refused=parity.refused), agreement


def _check_images_fit(network: nn.Module, images: Tensor) -> None:
    try:
        network(images[:1])
    except Exception as error:  # each network refuses in its own way
        raise RequestError(
            f"the network does not take the calibration images of shape {tuple(images.shape)}: "
            f"{first_line(error)}. Give them in the network's own size"
        ) from error


def _batch_size(proto: Any) -> int:
    """Return how many images the graph is calibrated with at a time: 1 where it takes one alone."""
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    return int(batch.dim_value) if batch.HasField("dim_value") else CALIBRATION_BATCH


def _to_half(proto: Any) -> Any:
    """Return the graph of `proto` in float16; its input and outputs stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # type: ignore[import-untyped]

    converted = convert_float_to_float16(proto, keep_io_types=True)
    _sort_nodes(converted.graph)
    return converted


def _sort_nodes(graph: Any) -> None:
    """Put each operator of `graph` behind those that it reads, as ONNX demands: the casts come last."""
    nodes = list(graph.node)
    maker = {name: place for place, node in enumerate(nodes) for name in node.output}
    needed = {
        place: {maker[name] for name in node.input if name in maker} for place, node in enumerate(nodes)
    }
    ordered = [nodes[place] for place in TopologicalSorter(needed).static_order()]
    del graph.node[:]
    graph.node.extend(ordered)


def quantised(proto: Any, calibration: Tensor, exclude: Collection[str], batch_size: int) -> Any:
    """Return the graph of `proto` in int8, its activations with the ranges that they have on `calibration`.

    Args:
        proto: of an ONNX file in float32; it is not changed.
        calibration: normalised images (N, C, H, W).
        exclude: names of operators that stay in float32.
        batch_size: images that the graph is run on at a time.
    """
    import onnx
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    prepared = onnx.ModelProto()
    prepared.CopyFrom(proto)
    onnx.helper.set_model_props(prepared, PREPARED)
    with tempfile.TemporaryDirectory(prefix="foveate-") as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(prepared.SerializeToString())
        quantize_static(
            str(source),
            str(target),
            _Images(calibration, batch_size),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(exclude),
            calibrate_method=CalibrationMethod.MinMax,
        )
        written = onnx.load(str(target))
    if not any(node.op_type == "QuantizeLinear" for node in written.graph.node):
        raise WorkError("onnxruntime quantised no operator of the graph: write fp32 or fp16")
    return written


class _Images:
    """Gives batches of images as onnxruntime asks for them; its `CalibrationDataReader` is this interface."""

    def __init__(self, images: Tensor, batch_size: int) -> None:
        self._batches = iter(images.float().split(batch_size))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch by the name of the input, or None after the last one."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.contiguous().numpy()}

    def __iter__(self) -> "_Images":
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        batch = self.get_next()
        if batch is None:
            raise StopIteration
        return batch
