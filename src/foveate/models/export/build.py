"""The content of an exported file: the network traced, converted, and checked by running both."""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from foveate.errors import RequestError, WorkError, first_line
from foveate.models.export.detectors import detector_onnx, is_detector
from foveate.models.export.exported import Exported
from foveate.models.export.formats import check_format, check_precision
from foveate.models.export.metadata import Metadata, metadata_of, network_name
from foveate.models.export.onnx_file import OPSET, onnx_bytes, onnx_runner, require_onnx
from foveate.models.export.parity import TOLERANCES, Run, compare
from foveate.models.export.precision import Precision, calibration_agreement, check_calibration, reduce
from foveate.models.export.tracing import (
    Bounds,
    depends_on_values,
    example_answer,
    image_shape,
    in_words,
    size_bounds,
    trace,
    within,
)
from foveate.models.sites.outputs import (
    check_output_names,
    is_list_by_image,
    name_outputs,
    tensors_in,
)
from foveate.models.sites.wrappers import unwrap

__all__ = ["Built", "build", "build_reduced"]

ONNX_SIDE = 128
"""ONNX is traced at least at this size: at a smaller one the last map may be a single pixel, and torch.export
then confines the sizes to those where it is. A program keeps such bounds, an ONNX graph does not."""
CHECKED_SIDE = 128
"""Images with longer sides are checked at half their size where they can be, but at this size at least."""


class Source(NamedTuple):
    """What an ONNX file in float32 was made from, so that it can be written in another precision."""

    network: nn.Module  # a copy, on the CPU, in evaluation mode
    metadata: Metadata
    shape: tuple[int, int, int]
    checked: list[tuple[int, int, int, int]]
    what: str


class Built(NamedTuple):
    """The bytes of a file that is not written yet, and what is to be said of it; its path is empty."""

    content: bytes
    about: Exported
    source: Source | None = None  # None of what has one precision alone


def build(
    model: nn.Module,
    format: str,
    *,
    image_size: int | None = None,
    output_names: Sequence[str] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Built:
    """Make the content of a file in float32 as `export` writes it, and check it; nothing is written.

    The arguments, and what is raised, are those of `export`.
    """
    check_format(format)
    if format == "onnx":
        require_onnx()
    model = unwrap(model)
    what = f"{network_name(model)} as {format}"
    with _quiet(), torch.no_grad():
        network = copy.deepcopy(model).cpu().float().eval()
        network.to(memory_format=torch.contiguous_format)
        shape = image_shape(network, image_size)
        answer = example_answer(network, shape, network_name(network))
        names = _names(answer, output_names)
        if format == "onnx" and is_detector(network) and is_list_by_image(answer):
            return _build_detector(network, shape, names, list(answer[0]), what, on_step)
        metadata = metadata_of(network, shape, names)
        try:
            on_step(f"tracing {network_name(model)}")
            program, fixed_because = trace(
                network,
                shape,
                at_least=ONNX_SIDE if format == "onnx" else 1,
                one_image=is_list_by_image(answer),
            )
            on_step(f"converting to {format}")
            content, run, bounds = _serialised(program, format, metadata)
        except GuardOnDataDependentSymNode as error:
            raise WorkError(depends_on_values(network, what, error)) from error
        except Exception as error:  # the exporters raise what they like
            raise WorkError(f"cannot export {what}: {first_line(error)}") from error
        on_step("checking against the network")
        shapes = _shapes(shape, bounds)
        parity = compare(network, run, names, shape[1:], shapes, what)
    about = Exported(
        path="",
        format=format,
        bytes=len(content),
        opset=OPSET if format == "onnx" else None,
        axes={axis: in_words(bound) for axis, bound in bounds.items()},
        fixed_because=fixed_because,
        **parity._asdict(),
    )
    source = Source(network, metadata, shape, shapes, what) if format == "onnx" else None
    return Built(content, about, source)


def build_reduced(
    built: Built, precision: Precision, on_step: Callable[[str], None] = lambda step: None
) -> Built:
    """Return an ONNX file that `build` made in another precision, checked; fp32 returns it as it is.

    Raises:
        RequestError: the precision is unknown or not of this format, or the images do not fit (see
            `check_calibration`); or it is a detector.
        WorkError: it cannot be quantised, or differs too much from the network (see `TOLERANCES`).
    """
    check_precision(built.about.format, precision.name, quantise_gates=precision.quantise_gates)
    if built.source is None:
        if precision.name != "fp32":
            raise RequestError(
                f"detectors are exported in fp32 alone, got {precision.name}: their graph chooses boxes by "
                "their values. Leave out the precision, or export the backbone"
            )
        return built
    network, metadata, shape, shapes, what = built.source
    check_calibration(precision, shape)
    if precision.name == "fp32":
        return built
    metadata = replace(metadata, precision=precision.name)
    names, agreement = metadata.outputs, None
    with _quiet(), torch.no_grad():
        content, gates = reduce(network, built.content, metadata, precision, what, on_step)
        run, what = onnx_runner(content, names), f"{what} in {precision.name}"
        on_step(f"checking {precision.name} against the network")
        parity = compare(network, run, names, shape[1:], shapes, what, TOLERANCES[precision.name])
        if precision.calibration is not None:
            parity, agreement = calibration_agreement(
                network, run, names, precision.calibration, parity, what
            )
    about = built.about._replace(
        bytes=len(content),
        **parity._asdict(),
        precision=precision.name,
        calibration=agreement,
        gates=gates,
    )
    return Built(content, about)


def _build_detector(
    network: nn.Module,
    shape: tuple[int, int, int],
    names: Sequence[str],
    keys: Sequence[str],
    what: str,
    on_step: Callable[[str], None],
) -> Built:
    """Make one of torchvision's detectors as ONNX for one image of `shape` (C, H, W), and check it."""
    on_step("tracing and checking against the network")
    try:
        content, parity, any_size = detector_onnx(
            network, shape, metadata_of(network, shape, names), keys, what
        )
    except WorkError:
        raise
    except Exception as error:  # the exporter raises what it likes
        raise WorkError(f"cannot export {what}: {first_line(error)}") from error
    sides = ("any", "any") if any_size else (str(shape[1]), str(shape[2]))
    about = Exported(
        path="",
        format="onnx",
        bytes=len(content),
        opset=OPSET,
        axes=dict(zip(("batch", "height", "width"), ("1", *sides), strict=True)),
        fixed_because=None if any_size else "the graph of a detector gives other boxes at other sizes",
        **parity._asdict(),
    )
    return Built(content, about)


def _names(answer: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the outputs in `answer`: those that are given, or those of its structure."""
    if given is None:
        return name_outputs(answer)
    derived = [f"output {number}" for number in range(len(tensors_in(answer)))]
    check_output_names(given, derived)
    return tuple(given)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings and logs of the exporters, which are about their own internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    disabled = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, was_disabled in zip(loggers, disabled, strict=True):
                logger.disabled = was_disabled


def _serialised(
    program: ExportedProgram, format: str, metadata: Metadata
) -> tuple[bytes, Run, dict[str, Bounds]]:
    """Return the bytes of the file, what runs exactly those, and the sizes that it takes."""
    bounds, symbols = size_bounds(program)
    if format == "onnx":
        content = onnx_bytes(program, symbols, metadata)
        return (
            content,
            onnx_runner(content, metadata.outputs),
            bounds | dict.fromkeys(symbols.values(), (1, None)),
        )
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"foveate.json": json.dumps(metadata.to_json())})
    content = file.getvalue()
    loaded = torch.export.load(io.BytesIO(content)).module()
    return content, lambda images: tensors_in(loaded(images)), bounds


def _shapes(shape: tuple[int, int, int], bounds: Mapping[str, Bounds]) -> list[tuple[int, int, int, int]]:
    """Return batches of 1, 2 and 5, then other sizes within the bounds: odd, wide and small ones.

    Large images are checked at their own size one at a time, and otherwise at a smaller one: a batch or an
    odd size is as good a check there, and several times as cheap.
    """
    channels, H, W = shape
    h, w = max(H // 2, min(H, CHECKED_SIDE)), max(W // 2, min(W, CHECKED_SIDE))
    if not (within(h, bounds["height"]) and within(w, bounds["width"])):
        h, w = H, W
    sizes = [(1, H, W), (2, h, w), (5, h, w)]
    sizes += [(2, (h + h // 2) | 1, w | 1), (1, h, 2 * W), (3, h * 3 // 4, (w // 2) | 1)]
    return [
        (batch, channels, height, width)
        for batch, height, width in sizes
        if within(batch, bounds["batch"])
        and within(height, bounds["height"])
        and within(width, bounds["width"])
    ]
