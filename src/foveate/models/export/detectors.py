"""torchvision's detectors as ONNX, by torch's older exporter, which traces what torch.export cannot follow.

How a detector goes on depends on how many boxes it finds. The older exporter writes such steps as operators
of ONNX, for which torchvision has registered its own. The graph takes one image.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foveate.errors import WorkError, first_line
from foveate.kernels import only_reference
from foveate.models.export.metadata import Metadata
from foveate.models.export.onnx_file import OPSET, onnx_runner, with_metadata
from foveate.models.export.parity import OutputDifference, Parity, Run
from foveate.models.sites.insertion import original_class
from foveate.models.sites.outputs import INPUT

__all__ = ["compare_detections", "detector_onnx", "is_detector"]

PLACE, SCORE = 1e-3, 1e-3
"""How far a detection may lie from its counterpart: of the longer side of the image, and of a score."""
UNMATCHED = 0.02
"""The share of detections that may have no counterpart. Which of two boxes that overlap is kept, and which is
the last of the best 100, are decisions that the last bit of a score can turn."""
LAST = 0.01
"""Detections whose score is so close to the last one's, as a share of it, are not looked for."""
BOXES, LABELS, SCORES = "boxes", "labels", "scores"


def is_detector(network: nn.Module) -> bool:
    """Return whether `network` is one of torchvision's detectors, or a subclass."""
    kinds = original_class(network).__mro__
    return any(kind.__module__.startswith("torchvision.models.detection.") for kind in kinds)


class _OneImage(nn.Module):
    """A detector that takes a batch of one image, and returns its tensors in their order."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return boxes (N, 4), labels (N,) and scores (N,) for images (1, C, H, W)."""
        return tuple(self.network([images[0]])[0].values())


def detector_onnx(
    network: nn.Module, shape: tuple[int, int, int], metadata: Metadata, keys: Sequence[str], what: str
) -> tuple[bytes, Parity, bool]:
    """Write `network` as ONNX for one image of `shape` (C, H, W), and compare it with the network.

    `keys` are those of what it returns, in that order, and `metadata` has their names. The comparison is of a
    graph without a threshold of scores, since few networks find anything in random images; the same graph
    with its threshold is then written. The third value is whether it takes images of other sizes too.

    Raises:
        WorkError: the graph gives other detections than the network at its own size.
    """
    channels, H, W = shape
    others = [(channels, H, 2 * W), (channels, H + H // 2, W)]
    fault: Exception | None = None
    for any_size, sizes in ((True, [shape, *others]), (False, [shape])):
        try:
            with _every_score(network):
                unlimited = _written(network, shape, metadata, any_size)
                parity = compare_detections(
                    network, onnx_runner(unlimited, metadata.outputs), metadata.outputs, keys, sizes, what
                )
            content = _written(network, shape, metadata, any_size)
            onnx_runner(content, metadata.outputs)(torch.zeros(1, *shape))
        except WorkError as error:
            fault = error
        else:
            return content, parity, any_size
    assert fault is not None
    raise fault


@only_reference()  # a graph carries no kernel of ours with it
def _written(network: nn.Module, shape: tuple[int, int, int], metadata: Metadata, any_size: bool) -> bytes:
    import onnx

    file = io.BytesIO()
    images = _images(shape, 0)
    torch.onnx.export(
        _OneImage(network).eval(),
        (images,),
        file,  # type: ignore[arg-type]  # the older exporter writes into it
        dynamo=False,
        input_names=[INPUT],
        output_names=metadata.outputs,
        opset_version=OPSET,
        dynamic_axes={INPUT: {2: "height", 3: "width"}} if any_size else None,
    )
    return with_metadata(onnx.load_from_string(file.getvalue()), metadata)


@contextmanager
def _every_score(network: Any) -> Iterator[None]:
    """Let the detector return boxes of any score within the block."""
    holder = getattr(network, "roi_heads", network)
    threshold = getattr(holder, "score_thresh", None)
    if threshold is None:
        yield
        return
    holder.score_thresh = 0.0
    try:
        yield
    finally:
        holder.score_thresh = threshold


def _images(shape: Sequence[int], seed: int) -> Tensor:
    """Return an image (1, C, H, W) in 0..1 of smooth patches and some noise."""
    channels, H, W = shape
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 6, 6, generator=generator)
    smooth = F.interpolate(coarse, size=(H, W), mode="bilinear", align_corners=False)
    return 0.8 * smooth + 0.2 * torch.rand(1, channels, H, W, generator=generator)


def compare_detections(
    network: nn.Module,
    run: Run,
    names: Sequence[str],
    keys: Sequence[str],
    shapes: Sequence[tuple[int, int, int]],
    what: str,
) -> Parity:
    """Compare the detections of `run` and of `network` in one image of each of `shapes` (C, H, W).

    A detection has a counterpart of its label, within 0.001 of the longer side and of the score. `names` are
    those of the outputs, and `keys` those of the dict that the network returns.

    Raises WorkError where more than 2 % have none on either side, or where there is nothing to compare.
    """
    count = missing = 0
    differences, largest = dict.fromkeys(keys, 0.0), dict.fromkeys(keys, 0.0)
    for seed, shape in enumerate(shapes, start=1):
        images = _images(shape, seed)
        expected: Mapping[str, Tensor] = network(list(images))[0]
        try:
            found = dict(zip(keys, run(images), strict=True))
        except Exception as error:  # each runtime refuses in its own way
            raise WorkError(f"{what} refuses images of shape {(1, *shape)}: {first_line(error)}") from error
        for one, other in ((expected, found), (found, expected)):
            pairs = _counterparts(one, other, max(shape[1:]))
            count += len(pairs)
            missing += int((pairs < 0).sum())
            clear = pairs >= 0
            for key in keys:
                ours = one[key][: len(pairs)][clear].double()
                gap = (ours - other[key][pairs[clear]].double()).abs()
                if gap.numel():
                    differences[key] = max(differences[key], gap.max().item())
                    largest[key] = max(largest[key], ours.abs().max().item())
    if count == 0:
        raise WorkError(
            f"{what} could not be checked: the network finds nothing in random images that stands out by its "
            "score, as before training. Nothing was written"
        )
    if missing > UNMATCHED * count:
        raise WorkError(
            f"{what}: {missing} of {count} detections have no counterpart in those of the network, with its "
            "label and within 0.001 of its place and its score. Nothing was written"
        )
    outputs = [
        OutputDifference(name, differences[key], largest[key]) for name, key in zip(names, keys, strict=True)
    ]
    return Parity([[1, *shape] for shape in shapes], [], outputs, None, None, None)


def _counterparts(one: Mapping[str, Tensor], other: Mapping[str, Tensor], side: int) -> Tensor:
    """Return the place in `other` of the counterpart of each clear detection of `one`; -1 is none."""
    scores = one[SCORES]
    if len(scores) == 0:
        return torch.zeros(0, dtype=torch.long)
    clear = int((scores > scores.min() * (1 + LAST)).sum())  # they come by falling score
    if len(other[SCORES]) == 0:
        return torch.full((clear,), -1)
    gaps = (one[BOXES][:clear, None] - other[BOXES][None]).abs().amax(dim=2) / side
    score_gaps = (scores[:clear, None] - other[SCORES][None]).abs()
    same = one[LABELS][:clear, None] == other[LABELS][None]
    far = (gaps > PLACE) | (score_gaps > SCORE) | ~same
    nearest = gaps.masked_fill(far, torch.inf).min(dim=1)
    return nearest.indices.masked_fill(nearest.values.isinf(), -1)
