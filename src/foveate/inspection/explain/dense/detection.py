"""Explain detections: the best detection of the largest annotated object of an image."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou

from foveate.data.dense.store import DenseStore
from foveate.data.dense.targets import BoxTargets
from foveate.evaluation.cam import evidence_maps
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.dense.drawing import draw_box
from foveate.inspection.explain.dense.objects import Finding, KnownObject, Seen, scaled
from foveate.records.metric import DETECTION

__all__ = ["DetectedObjects", "best_match", "largest", "pixels_inside"]

OVERLAP = 0.5
"""The intersection over union from which on a detection is that of an object."""
SHOWN = 0.5
"""Detections with at least this score are drawn."""

Output = Mapping[str, Tensor]
"""What a detector gives for an image: boxes (n, 4), labels (n,) from 1, and scores (n,)."""


class DetectedObjects:
    """The largest object of each image that is not a crowd, and the detections of it.

    Maps are made element by element (HiResCAM; Zhao and Chan 2023, "ODAM", do so for detectors) by default:
    Grad-CAM and Grad-CAM++ have one weight for each channel, and so mark all objects that look like the one
    whose score they explain.
    """

    name = DETECTION.name
    method = "hirescam"
    rows = ("boxes", "heat map")
    drawn = (
        "the best detection of the largest object (thick, yellow), and others with a score of at least 0.5"
    )

    def labels(self, store: DenseStore, classes: int) -> np.ndarray:
        """Return the class of the largest object of each image, int64 (N,); -1 without one."""
        found = []
        for index in range(len(store)):
            target = store.targets(index)
            place = largest(target)
            found.append(-1 if place is None else int(target.labels[place]))
        return np.array(found, dtype=np.int64)

    def known(self, image: Tensor, target: BoxTargets, label: int) -> KnownObject:
        """Return the largest object of `image` (C, H, W), and the pixels within its box."""
        place = largest(target)
        assert place is not None
        box = target.boxes[place]
        return KnownObject(label, pixels_inside(box, image.shape[1], image.shape[2]), target, box)

    def padded(self, image: Tensor) -> Tensor:
        """Return `image` (C, H, W) as a batch: detectors take any size."""
        return image[None]

    def seen(self, built: BuiltNetwork, image: Tensor) -> Seen:
        """Return `image` (C, H, W) resized, normalised and padded as the detector does it."""
        with torch.no_grad():
            batch, _ = built.network.transform([image.to(built.device)])  # type: ignore[operator]
        (size,) = batch.image_sizes
        picture = F.interpolate(image[None], size, mode="bilinear", align_corners=False)[0]
        height, width = batch.tensors.shape[2:]
        return Seen(batch.tensors, F.pad(picture, (0, width - size[1], 0, height - size[0])))

    def explain(self, built: BuiltNetwork, image: Tensor, known: KnownObject, method: str) -> Finding:
        """Return the map of the score of the best detection of the object.

        The best is the one with the highest score among those of its class that overlap it (IoU ≥ 0.5).
        """
        assert known.box is not None
        image, box = image.to(built.device), known.box.to(built.device)
        with torch.no_grad():
            batch, _ = built.network.transform([image])  # type: ignore[operator]

        def score(output: Output) -> Tensor:
            best = best_match(output, box, known.label)
            return 0 * output["scores"].sum() if best is None else output["scores"][best]

        # The map is enlarged to what the backbone gets, which may be padded, and then put on the image.
        maps, outputs = evidence_maps(
            built.network, built.layer, batch.tensors, [score], method, _OnImage(built.network, image)
        )
        output = {name: values.detach() for name, values in outputs[0].items()}
        best = best_match(output, box, known.label)
        if best is None:
            return Finding(torch.zeros(image.shape[1:]), False, None, output)
        (height, width) = batch.image_sizes[0]
        map_ = F.interpolate(
            maps[:, None, :height, :width], image.shape[1:], mode="bilinear", align_corners=False
        )[0, 0]
        return Finding(scaled(map_), True, float(output["scores"][best]), output)

    def draw_truth(self, picture: np.ndarray, known: KnownObject) -> np.ndarray:
        """Draw the box of the object, and thin those of the others."""
        height, width = known.inside.shape
        picture = picture.copy()
        for box in known.target.boxes:
            draw_box(picture, box.tolist(), (height, width))
        assert known.box is not None
        draw_box(picture, known.box.tolist(), (height, width), thick=True)
        return picture

    def draw_answer(self, picture: np.ndarray, known: KnownObject, finding: Finding) -> np.ndarray:
        """Draw the detections with a score of at least 0.5 with it, and the best one of the object thick."""
        output, (height, width) = finding.answer, known.inside.shape
        picture = picture.copy()
        assert known.box is not None
        best = best_match(output, known.box.to(output["boxes"].device), known.label)
        order = [n for n, score in enumerate(output["scores"].tolist()) if score >= SHOWN and n != best]
        for number in [*order, *([] if best is None else [best])]:
            score = float(output["scores"][number])
            draw_box(
                picture,
                output["boxes"][number].tolist(),
                (height, width),
                thick=number == best,
                text=f"{score:.2f}",
            )
        return picture

    def say(self, finding: Finding) -> str:
        """Write the score of the detection."""
        return "not found" if finding.score is None else f"score {finding.score:.2f}"


class _OnImage(nn.Module):
    """A detector that is run on one image; it is called with what its backbone gets of that image."""

    def __init__(self, detector: nn.Module, image: Tensor) -> None:
        super().__init__()
        self.detector, self.image = detector, image

    def forward(self, seen: Tensor) -> Sequence[Output]:
        found: Sequence[Output] = self.detector([self.image])
        return found


def largest(target: BoxTargets) -> int | None:
    """Return the place of the largest box that is not a crowd, the first of equal ones; None without any."""
    width, height = (target.boxes[:, 2:] - target.boxes[:, :2]).clamp(min=0).T
    areas = torch.where(target.crowd, -1.0, width * height)
    return int(areas.argmax()) if len(areas) and areas.max() > 0 else None


def best_match(output: Output, box: Tensor, label: int) -> int | None:
    """Return the place of the detection of the object in `box` (4,) of class `label`; None without one."""
    overlaps = box_iou(box[None], output["boxes"].detach())[0]
    fits = (overlaps >= OVERLAP) & (output["labels"] == label + 1)
    if not fits.any():
        return None
    return int(torch.where(fits, output["scores"].detach(), -1.0).argmax())


def pixels_inside(box: Tensor, height: int, width: int) -> Tensor:
    """Return the pixels whose centres lie in `box` (4,), bool (height, width); at least the nearest one."""
    x0, y0, x1, y1 = box.tolist()
    rows, columns = (
        _between(torch.arange(count) + 0.5, low, high)
        for count, low, high in ((height, y0, y1), (width, x0, x1))
    )
    return rows[:, None] & columns


def _between(centres: Tensor, low: float, high: float) -> Tensor:
    found = (centres >= low) & (centres < high)
    if not found.any():
        found[(centres - (low + high) / 2).abs().argmin()] = True
    return found
