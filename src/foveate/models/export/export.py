"""Export a network as ONNX or as a torch.export program, and check the file by running both.

The network is exported in its present state, in evaluation mode and float32: from normalised images
(B, C, H, W) to whatever tensors it returns, alone or in lists, tuples and dicts. The caller's network is
copied and not changed.
"""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from foveate.errors import WorkError, first_line
from foveate.files import write_bytes
from foveate.models.checkpoint.save_load import load
from foveate.models.export.detectors import detector_onnx, is_detector
from foveate.models.export.formats import check_export, check_format
from foveate.models.export.metadata import Metadata, metadata_of, network_name
from foveate.models.export.onnx_file import OPSET, onnx_bytes, onnx_runner, require_onnx
from foveate.models.export.parity import OutputDifference, Run, compare, shapes_in_words
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

__all__ = ["Exported", "export", "export_file", "in_lines"]

ONNX_SIDE = 128
"""ONNX is traced at least at this size: at a smaller one the last map may be a single pixel, and torch.export
then confines the sizes to those where it is. A program keeps such bounds, an ONNX graph does not."""
CHECKED_SIDE = 128
"""Images with longer sides are checked at half their size where they can be, but at this size at least."""


class Exported(NamedTuple):
    """What was written, and how it was compared with the network."""

    path: str
    format: str
    bytes: int
    opset: int | None  # ONNX's
    axes: dict[str, str]  # batch, height, width: "any", "from 64", "32 to 63", or the one size, "224"
    fixed_because: str | None  # why height and width are fixed, where they are
    checked: list[list[int]]  # these six as in Parity
    refused: list[list[int]]
    outputs: list[OutputDifference]
    logits_difference: float | None
    probabilities_difference: float | None
    largest_logit: float | None

    def to_json(self) -> dict[str, object]:
        """Return the fields, with values of JSON."""
        return self._asdict() | {"outputs": [output._asdict() for output in self.outputs]}


def export_file(
    source: Path,
    format: str,
    path: Path | None = None,
    *,
    image_size: int | None = None,
    output_names: Sequence[str] | None = None,
    trust_code: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Load what `foveate.save` wrote to `source`, a file or a run's folder, and `export` it.

    `path` is by default beside the weights, with the format's own ending. Raises RequestError also where it
    cannot be written, before any work, and whatever `load` does.
    """
    path = check_export(source, format, path)
    on_step(f"reading {source}")
    model = load(source, trust_code=trust_code)
    return export(model, path, format, image_size=image_size, output_names=output_names, on_step=on_step)


def export(
    model: nn.Module,
    path: Path | str,
    format: str,
    *,
    image_size: int | None = None,
    output_names: Sequence[str] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Write `model` to `path` in `format`, "onnx" or "exported-program", if the file passes its check.

    The batch is dynamic, and so are height and width; where the network refuses that, the result says why.
    `image_size` is the side to trace and check at; None is that of timm's `pretrained_cfg`, or 224.

    `output_names` are those of the tensors that the network returns, in its order. By default a classifier
    has "logits", any other network that returns one tensor "output"; a dict gives its keys, and a list
    "features_0", "features_1" and so on (see `name_outputs`). A program returns what the network does,
    whatever the names.

    Names of outputs, classes, preprocessing (where the model declares them) and foveate's version are written
    too: as metadata_props of ONNX, or as the extra file "foveate.json" of a program. `on_step` is called with
    each step as it begins.

    torchvision's detectors, and foveate's, are exported as ONNX for one image (1, C, H, W), and compared by
    their detections (see export/detectors.py).

    Raises RequestError for an unknown format, a network that takes no such images or returns anything but
    tensors, names that do not fit, and where ONNX is not installed; WorkError where torch cannot export the
    network, or an output of the file differs from the network's by more than 1e-4 (times its largest value,
    where that is above 1). `path` is then as it was.
    """
    _refuse_format(format)
    model = unwrap(model)
    what = f"{network_name(model)} as {format}"
    with _quiet(), torch.no_grad():
        network = copy.deepcopy(model).cpu().float().eval()
        network.to(memory_format=torch.contiguous_format)
        shape = image_shape(network, image_size)
        answer = example_answer(network, shape, network_name(network))
        names = _names(answer, output_names)
        if format == "onnx" and is_detector(network) and is_list_by_image(answer):
            return _export_detector(network, Path(path), shape, names, list(answer[0]), what, on_step)
        try:
            on_step(f"tracing {network_name(model)}")
            program, fixed_because = trace(
                network,
                shape,
                at_least=ONNX_SIDE if format == "onnx" else 1,
                one_image=is_list_by_image(answer),
            )
            on_step(f"converting to {format}")
            content, run, bounds = _serialised(program, format, metadata_of(network, shape, names))
        except GuardOnDataDependentSymNode as error:
            raise WorkError(depends_on_values(network, what, error)) from error
        except Exception as error:  # the exporters raise what they like
            raise WorkError(f"cannot export {what}: {first_line(error)}") from error
        on_step("checking against the network")
        parity = compare(network, run, names, shape[1:], _shapes(shape, bounds), what)
    write_bytes(Path(path), content)
    return Exported(
        path=str(path),
        format=format,
        bytes=len(content),
        opset=OPSET if format == "onnx" else None,
        axes={axis: in_words(bound) for axis, bound in bounds.items()},
        fixed_because=fixed_because,
        **parity._asdict(),
    )


def _export_detector(
    network: nn.Module,
    path: Path,
    shape: tuple[int, int, int],
    names: Sequence[str],
    keys: Sequence[str],
    what: str,
    on_step: Callable[[str], None],
) -> Exported:
    """Write one of torchvision's detectors as ONNX for one image of `shape` (C, H, W), and check it."""
    on_step("tracing and checking against the network")
    try:
        content, parity, any_size = detector_onnx(
            network, shape, metadata_of(network, shape, names), keys, what
        )
    except WorkError:
        raise
    except Exception as error:  # the exporter raises what it likes
        raise WorkError(f"cannot export {what}: {first_line(error)}") from error
    write_bytes(path, content)
    sides = ("any", "any") if any_size else (str(shape[1]), str(shape[2]))
    return Exported(
        path=str(path),
        format="onnx",
        bytes=len(content),
        opset=OPSET,
        axes=dict(zip(("batch", "height", "width"), ("1", *sides), strict=True)),
        fixed_because=None if any_size else "the graph of a detector gives other boxes at other sizes",
        **parity._asdict(),
    )


def in_lines(done: Exported) -> list[str]:
    """Return lines for people: what was written, which sizes it takes, and how closely it agrees."""
    opset = f", opset {done.opset}" if done.opset else ""
    axes = ", ".join(f"{axis} {size}" for axis, size in done.axes.items())
    lines = [f"{done.path}: {done.format}{opset}, {done.bytes / 1e6:.1f} MB, {axes}"]
    if done.fixed_because:
        lines.append(f"height and width are fixed: {done.fixed_because}")
    if done.logits_difference is not None:
        differences = (
            f"{done.logits_difference:.1e} in a logit (of up to {done.largest_logit:.3g}), "
            f"{done.probabilities_difference:.1e} in a probability"
        )
    else:
        differences = ", ".join(
            f"{output.difference:.1e} in {output.name} (of up to {output.largest:.3g})"
            for output in done.outputs
        )
    lines.append(f"largest difference from the network {differences}, over {shapes_in_words(done.checked)}")
    if done.refused:
        lines.append(f"it refuses images that the network takes: {shapes_in_words(done.refused)}")
    return lines


def _names(answer: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the outputs in `answer`: those that are given, or those of its structure."""
    if given is None:
        return name_outputs(answer)
    derived = [f"output {number}" for number in range(len(tensors_in(answer)))]
    check_output_names(given, derived)
    return tuple(given)


def _refuse_format(format: str) -> None:
    check_format(format)
    if format == "onnx":
        require_onnx()


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
