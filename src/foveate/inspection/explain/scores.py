"""The scores of one network's maps over many images, a batch at a time: only numbers are kept."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from foveate.evaluation.attention_scores import (
    VIEWS,
    ClassConsistency,
    energies,
    focus_ratio,
    pointing_game,
    tolerance_of,
    view_consistency,
)
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.road import road
from foveate.evaluation.statistics import describe
from foveate.inspection.explain.built import BuiltNetwork
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.subjects import Subjects
from foveate.records.explain import SCORES, MapScore

__all__ = ["Values", "score_maps", "score_objects", "summarise_objects"]

Values = defaultdict[str, list[float]]
"""One value for each image, by the name of the score."""


def score_maps(
    built: BuiltNetwork,
    subjects: Subjects,
    method: str,
    settings: ExplainSettings,
    on_progress: Callable[[int], None],
) -> dict[str, MapScore]:
    """Return each score by its name.

    The maps are made for the class that the network answers, those of the views for the class that it answers
    for the original. `on_progress` is called with the number of images that are done.
    """
    values: Values = defaultdict(list)
    energy: Values = defaultdict(list)
    by_class = ClassConsistency()
    road_images = subjects.sample(settings.road)
    for start in range(0, len(subjects), settings.batch_size):
        numbers = np.arange(start, min(start + settings.batch_size, len(subjects)))
        images = subjects.images(numbers).to(built.device)
        maps, logits = built.maps(images, method)
        answers = logits.argmax(dim=1)
        objects, known = subjects.objects(numbers)
        if known.any():
            score_objects(values, energy, maps[known], objects[known])
        values["view_consistency"] += _over_views(built, images, maps, answers, method)
        labels = torch.from_numpy(subjects.labels[numbers])
        by_class.add(maps[labels >= 0], labels[labels >= 0])
        chosen = np.flatnonzero(np.isin(numbers, road_images))
        if len(chosen):
            with torch.inference_mode():
                generator = torch.Generator().manual_seed(start)
                prepared = built.prepare(images[chosen])
                road_values = road(built.network, prepared, maps[chosen], answers[chosen], generator)
            values["road"] += road_values.tolist()
        on_progress(start + len(numbers))
    scores = summarise_objects(values, energy)
    if of_classes := by_class.values():
        scores["class_consistency"] = _summarise("class_consistency", of_classes)
    return scores


def score_objects(values: Values, energy: Values, maps: Tensor, objects: Tensor) -> None:
    """Append the scores that compare each map (B, H, W) with its object, bool (B, H, W)."""
    outside, inside = energies(maps, objects)
    values["focus_ratio"] += focus_ratio(maps, objects).tolist()
    values["pointing_game"] += pointing_game(maps, objects, tolerance_of(*maps.shape[1:])).tolist()
    energy["outside"] += outside.tolist()
    energy["inside"] += inside.tolist()


def summarise_objects(values: Values, energy: Values) -> dict[str, MapScore]:
    """Describe each score of which there are values, and the noise suppression ratio of the energies."""
    scores = {name: _summarise(name, found) for name, found in values.items()}
    if energy:
        scores["noise_suppression"] = _noise_suppression(energy["outside"], energy["inside"])
    return scores


def _over_views(
    built: BuiltNetwork, images: Tensor, maps: Tensor, answers: Tensor, method: str
) -> list[float]:
    """Return for each image the mean cosine of its map with those of its views."""
    cosines = [
        view_consistency(maps, built.maps(view.see(images), method, answers)[0], view) for view in VIEWS
    ]
    means: list[float] = torch.stack(cosines).mean(dim=0).tolist()
    return means


def _summarise(name: str, values: Sequence[float]) -> MapScore:
    """Describe the values of a score; NaN marks an undefined one."""
    defined = [value for value in values if math.isfinite(value)]
    described = describe(defined, bounds_of(SCORES[name]))
    return MapScore(
        mean=described.mean,
        std=described.std,
        ci95=described.ci95,
        n=len(defined),
        undefined=len(values) - len(defined),
    )


def _noise_suppression(outside: Sequence[float], inside: Sequence[float]) -> MapScore:
    """Return mean of `outside` over mean of `inside`, with the interval of a ratio of means (delta method).

    Its residuals outside - ratio · inside, divided by the mean of `inside`, spread as the ratio does.
    """
    pairs = [(a, b) for a, b in zip(outside, inside, strict=True) if math.isfinite(a) and math.isfinite(b)]
    total = sum(b for _, b in pairs)
    if not total:
        return _summarise("noise_suppression", [math.nan] * len(outside))
    ratio, mean = sum(a for a, _ in pairs) / total, total / len(pairs)
    spread = [ratio + (a - ratio * b) / mean for a, b in pairs]
    summary = _summarise("noise_suppression", spread)
    return summary.model_copy(update={"mean": ratio, "undefined": len(outside) - len(pairs)})
