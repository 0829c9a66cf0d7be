"""The scores of one network's maps over many images, a batch at a time: only numbers are kept."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from foveate.evaluation.attention_scores import (
    VIEWS,
    ClassConsistency,
    energies,
    focus_ratio,
    pointing_game,
    tolerance_of,
    view_consistency,
)
from foveate.evaluation.cam import cam_maps
from foveate.evaluation.intervals import AMOUNT
from foveate.evaluation.road import road
from foveate.evaluation.statistics import describe
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.subjects import Subjects
from foveate.inspection.trained import Trained
from foveate.report.explain.summary import SCORE_BOUNDS

__all__ = ["score_maps"]


def score_maps(
    one: Trained,
    network: nn.Module,
    layer: str,
    subjects: Subjects,
    settings: ExplainSettings,
    device: torch.device,
    on_progress: Callable[[int], None],
) -> dict[str, dict[str, Any]]:
    """Each score by name: mean, std and ci95 over images, how many, and for how many it is undefined.

    The maps speak for the class that the network answers, its views for that of the original.
    """
    values: dict[str, list[float]] = defaultdict(list)
    by_class = ClassConsistency()
    taken_apart = set(subjects.some(settings.road).tolist())
    for start in range(0, len(subjects), settings.batch_size):
        numbers = range(start, min(start + settings.batch_size, len(subjects)))
        images = subjects.images(numbers).to(device)
        normal = one.normalise(images)
        maps, logits = cam_maps(network, layer, normal, settings.method)
        answers = logits.argmax(dim=1)
        objects, known = subjects.objects(numbers)
        if known.any():
            _score_objects(values, maps[known], objects[known])
        over_views = torch.stack(
            [
                view_consistency(maps, cam_maps(network, layer, seen, settings.method, answers)[0], view)
                for view in VIEWS
                for seen in [one.normalise(view.see(images))]
            ]
        )
        values["view_consistency"] += over_views.mean(dim=0).tolist()
        labels = torch.from_numpy(subjects.labels[start : numbers.stop])
        by_class.add(maps[labels >= 0], labels[labels >= 0])
        apart = [k for k, number in enumerate(numbers) if number in taken_apart]
        if apart:
            with torch.inference_mode():
                generator = torch.Generator().manual_seed(start)
                values["road"] += road(
                    network, normal[apart], maps[apart], answers[apart], generator
                ).tolist()
        on_progress(numbers.stop)
    suppression = _ratio_of_means(values.pop("outside", []), values.pop("inside", []))
    scores = {name: _over_images(name, found) for name, found in values.items()}
    if suppression:
        scores["noise_suppression"] = suppression
    if of_classes := by_class.values():
        scores["class_consistency"] = _over_images("class_consistency", of_classes)
    return scores


def _score_objects(values: dict[str, list[float]], maps: Tensor, objects: Tensor) -> None:
    outside, inside = energies(maps, objects)
    values["focus_ratio"] += focus_ratio(maps, objects).tolist()
    values["pointing_game"] += pointing_game(maps, objects, tolerance_of(*maps.shape[1:])).tolist()
    values["outside"] += outside.tolist()
    values["inside"] += inside.tolist()


def _over_images(score: str, values: list[float]) -> dict[str, Any]:
    """`describe` of the values of `score` that there are."""
    there = [value for value in values if math.isfinite(value)]
    described = describe(there, SCORE_BOUNDS[score])
    return {key: described[key] for key in ("mean", "std", "ci95")} | {
        "n": len(there),
        "undefined": len(values) - len(there),
    }


def _ratio_of_means(above: list[float], below: list[float]) -> dict[str, Any] | None:
    """Mean of `above` over mean of `below`, with the interval of a ratio of means (delta method).

    Its residuals above - ratio · below, divided by the mean of `below`, spread as the ratio does.
    """
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if math.isfinite(a) and math.isfinite(b)]
    total = sum(b for _, b in pairs)
    if not total:
        return _over_images("noise_suppression", [math.nan] * len(above)) if above else None
    ratio, mean = sum(a for a, _ in pairs) / total, total / len(pairs)
    described = describe([ratio + (a - ratio * b) / mean for a, b in pairs], AMOUNT)
    return {
        "mean": ratio,
        "std": described["std"],
        "ci95": described["ci95"],
        "n": len(pairs),
        "undefined": len(above) - len(pairs),
    }
