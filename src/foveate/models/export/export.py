"""A network leaves as ONNX or as a torch.export program, and the file is held against it by running both.

What leaves is the network as it stands, in eval mode and float32: from images (B, C, H, W), normalised
already, to logits (B, classes). The caller's network is copied and stays as it was.
"""

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import ExportedProgram

from foveate.errors import RequestError, WorkError, first_line, unknown_name
from foveate.files import find_obstacle, write_bytes
from foveate.models.checkpoint.save_load import load
from foveate.models.checkpoint.state_dicts import unwrap
from foveate.models.export.onnx_check import OPSET, onnx_bytes, onnx_runner, require_onnx
from foveate.models.export.parity import Run, hold_against, shapes_in_words
from foveate.models.export.tracing import (
    Bounds,
    image_shape,
    in_words,
    refuse_without_logits,
    size_bounds,
    trace,
    within,
)
from foveate.version import __version__

__all__ = ["FORMATS", "Exported", "export", "export_file", "in_lines"]

FORMATS = {"onnx": ".onnx", "exported-program": ".pt2"}
"""The formats, and the endings of their files."""

ONNX_SIDE = 128
"""ONNX is traced at least at this size: at a smaller one the last map may be a single pixel, and torch.export
then confines the sizes to those where it is. A program keeps such bounds, an ONNX graph does not."""


class Exported(NamedTuple):
    """What was written, and how it was held against the network."""

    path: str
    format: str
    bytes: int
    opset: int | None  # ONNX's
    axes: dict[str, str]  # batch, height, width: "any", "from 64", "32 to 63", or the one size, "224"
    fixed_because: str | None  # why height and width are fixed, where they are
    checked: list[list[int]]  # these five as in Parity
    refused: list[list[int]]
    logits_difference: float
    probabilities_difference: float
    largest_logit: float


def export_file(
    source: Path,
    format: str,
    path: Path | None = None,
    *,
    image_size: int | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Load what `foveate.save` wrote to `source`, a file or a run's folder, and `export` it.

    `path` is by default beside the weights, with the format's own ending. Raises RequestError also where it
    cannot be written, before any work, and whatever `load` does.
    """
    _refuse_format(format)
    name = "network" if source.is_dir() else source.stem
    path = path or (source if source.is_dir() else source.parent) / f"{name}{FORMATS[format]}"
    there = find_obstacle(path.absolute().parent)
    if path.is_dir() or there:
        fault = f"{path} is a folder" if path.is_dir() else f"{there} is no folder that can be written to"
        raise RequestError(f"cannot write to {path}: {fault}. Give the path of a file")
    on_step(f"reading {source}")
    return export(load(source), path, format, image_size=image_size, on_step=on_step)


def export(
    model: nn.Module,
    path: Path | str,
    format: str,
    *,
    image_size: int | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Exported:
    """Write `model` to `path` in `format`, "onnx" or "exported-program", if the file passes its check.

    The batch is dynamic, and so are height and width; where the network refuses that, the result says why.
    `image_size` is the side to trace and check at; None is that of timm's `pretrained_cfg`, or 224. Classes,
    preprocessing (where the model carries them) and foveate's version go along: as ONNX's metadata_props, in
    a program as the extra file "foveate.json". `on_step` is told what begins.

    Raises RequestError for an unknown format, a network that takes no such images or gives no logits, and
    where ONNX is not installed; WorkError where the network cannot be exported, or the file's logits differ
    from the network's by more than 1e-4 (times the largest logit, where that is above 1). `path` is then as
    it was.
    """
    _refuse_format(format)
    model = unwrap(model)
    what = f"{_name(model)} as {format}"
    with _quiet(), torch.no_grad():
        network = copy.deepcopy(model).cpu().float().eval()
        network.to(memory_format=torch.contiguous_format)
        shape = image_shape(network, image_size)
        refuse_without_logits(network, shape, _name(network))
        try:
            on_step(f"tracing {_name(model)}")
            program, fixed_because = trace(network, shape, at_least=ONNX_SIDE if format == "onnx" else 1)
            on_step(f"converting to {format}")
            content, run, bounds = _serialised(program, format, _about(network, shape))
        except Exception as error:  # the exporters raise what they like
            raise WorkError(f"cannot export {what}: {first_line(error)}") from error
        on_step("checking against the network")
        parity = hold_against(network, run, shape[1:], _shapes(shape, bounds), what)
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


def in_lines(done: Exported) -> list[str]:
    """Say for people what was written, what it takes, and how closely it agrees."""
    opset = f", opset {done.opset}" if done.opset else ""
    axes = ", ".join(f"{axis} {size}" for axis, size in done.axes.items())
    lines = [f"{done.path}: {done.format}{opset}, {done.bytes / 1e6:.1f} MB, {axes}"]
    if done.fixed_because:
        lines.append(f"height and width are fixed: {done.fixed_because}")
    lines.append(
        f"largest difference from the network {done.logits_difference:.1e} in a logit (of up to "
        f"{done.largest_logit:.3g}), {done.probabilities_difference:.1e} in a probability, over "
        f"{shapes_in_words(done.checked)}"
    )
    if done.refused:
        lines.append(f"it refuses images that the network takes: {shapes_in_words(done.refused)}")
    return lines


def _refuse_format(format: str) -> None:
    if format not in FORMATS:
        raise RequestError(unknown_name("format", format, FORMATS))
    if format == "onnx":
        require_onnx()


def _name(model: nn.Module) -> str:
    config = getattr(model, "pretrained_cfg", None) or {}
    return str(config.get("architecture") or type(model).__name__)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters warn and log about their own insides."""
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
    program: ExportedProgram, format: str, about: Mapping[str, Any]
) -> tuple[bytes, Run, dict[str, Bounds]]:
    """The file's bytes, what runs exactly those, and the sizes that they take."""
    bounds, symbols = size_bounds(program)
    if format == "onnx":
        content = onnx_bytes(program, symbols, about)
        return content, onnx_runner(content), bounds | dict.fromkeys(symbols.values(), (1, None))
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"foveate.json": json.dumps(about)})
    content = file.getvalue()
    return content, torch.export.load(io.BytesIO(content)).module(), bounds


def _about(network: nn.Module, shape: tuple[int, int, int]) -> dict[str, Any]:
    """What whoever runs the file needs to know, as far as timm's `pretrained_cfg` says it."""
    config = getattr(network, "pretrained_cfg", None) or {}
    about: dict[str, Any] = {"foveate": __version__, "network": _name(network)}
    if config.get("label_names"):
        about["classes"] = list(config["label_names"])
    keys = ("mean", "std", "crop_pct", "crop_mode", "interpolation")
    if known := {key: config[key] for key in keys if config.get(key) is not None}:
        about["preprocessing"] = {"input_size": shape, **known}
    return about


def _shapes(shape: tuple[int, int, int], bounds: Mapping[str, Bounds]) -> list[tuple[int, int, int, int]]:
    """Batches of 1, 2 and 5, then other sizes within the bounds: odd ones, wide ones, small ones."""
    channels, H, W = shape
    sizes = [(1, H, W), (2, H, W), (5, H, W)]
    sizes += [(2, (H + H // 2) | 1, W | 1), (1, H, 2 * W), (3, H * 3 // 4, (W // 2) | 1)]
    return [
        (batch, channels, height, width)
        for batch, height, width in sizes
        if within(height, bounds["height"]) and within(width, bounds["width"])
    ]
