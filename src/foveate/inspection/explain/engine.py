"""`foveate explain`: where each trained network looks, what its attention makes, and scores of both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import nn

from foveate.errors import RequestError
from foveate.evaluation.attention_scores import VIEWS, tolerance_of
from foveate.evaluation.road import SHARES
from foveate.inspection.assessment import Assessment, assessment
from foveate.inspection.examine import Work
from foveate.inspection.explain.pictures import Looked, draw_grid, draw_own_maps, look, remove_others
from foveate.inspection.explain.scores import score_maps
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.subjects import Subjects, find_subjects
from foveate.inspection.trained import Trained, assumed_order
from foveate.models.sites.target_layers import default_layer, find_layer
from foveate.report.core.notation import display_name
from foveate.training.learned import learned_numbers

__all__ = ["explain"]

KIND = "explain"
DEFINITIONS = 2
"""Of the scores; another number measures them anew."""


def explain(work: Work, settings: ExplainSettings, source: str | None = None) -> Path:
    """Score the maps of every network on the same images, draw them, and return the path of the record.

    A network is scored once for the same weights, images and settings. The pictures are of the first seed.
    What cannot be looked at is left out, by name. `source` stands for the data of the runs.

    Raises:
        RequestError: a setting that cannot be, or no images.
    """
    settings.check()
    subjects = find_subjects(work.trained, settings, source)
    about = {
        **work.about,
        "settings": {
            "method": settings.method,
            "layer": settings.layer,
            "road_images": min(settings.road, len(subjects)),
            "road_shares": list(SHARES),
            "views": [view.name for view in VIEWS],
            "pointing_tolerance": tolerance_of(subjects.image_size, subjects.image_size),
            "batch_size": settings.batch_size,
        },
        "data": {
            "about": subjects.about,
            "fingerprint": subjects.fingerprint,
            "images": len(subjects),
            "with_object": sum(name in subjects.regions for name in subjects.names),
            "left_out": len(subjects.left_out),
        },
    }
    with assessment(work.folder, KIND, work.trained, about) as record:
        record.say(warning=assumed_order(work.trained, subjects.classes))
        for sentence in subjects.left_out:
            record.say(left_out=sentence)
        record.say(warning=subjects.regions.describe() or None)
        first = _first_seeds(work.trained)
        shown = subjects.some(settings.show)
        looked: list[Looked] = []
        pictures: list[dict[str, Any]] = []
        for one, network, layer in _usable(work, settings, subjects, record):
            try:
                _score(one, network, layer, work, settings, subjects, record)
                if one.name in first:
                    looked.append(
                        look(
                            one,
                            network,
                            layer,
                            subjects,
                            shown,
                            settings.method,
                            work.device,
                            settings.batch_size,
                        )
                    )
                    own = draw_own_maps(work.folder, one, network, subjects, int(shown[0]), work.device)
                    pictures += [own] if own else []
            except RequestError as error:
                record.say(left_out=f"{one.name} ({display_name(one.label)}): {error}")
        if looked:
            pictures.insert(0, draw_grid(work.folder, looked, subjects, shown))
        record.about["pictures"] = pictures
        remove_others(work.folder, pictures)
    return record.path


def _first_seeds(trained: list[Trained]) -> set[str]:
    """The names of the networks that are drawn: of each label the one with the smallest seed."""
    first: dict[str, Trained] = {}
    for one in trained:
        if one.label not in first or (one.seed or 0) < (first[one.label].seed or 0):
            first[one.label] = one
    return {one.name for one in first.values()}


def _usable(
    work: Work, settings: ExplainSettings, subjects: Subjects, record: Assessment
) -> Iterator[tuple[Trained, nn.Module, str]]:
    """Each network, built, and its layer; one without such a layer is left out."""
    for one in work.trained:
        network = one.network(work.device)
        try:
            if settings.layer is not None:
                layer = find_layer(network, settings.layer)
            else:
                example = one.normalise(subjects.images([0]).to(work.device))
                layer = default_layer(network, example)
        except RequestError as error:
            record.say(left_out=f"{one.name} ({display_name(one.label)}): {error}")
            continue
        yield one, network, layer


def _score(
    one: Trained,
    network: nn.Module,
    layer: str,
    work: Work,
    settings: ExplainSettings,
    subjects: Subjects,
    record: Assessment,
) -> None:
    key = {
        "network": one.digest,
        "name": one.name,
        "backbone": one.backbone,
        "method": settings.method,
        "layer": layer,
        "images": subjects.fingerprint,
        "limit": settings.limit,
        "road": settings.road,
        "batch_size": settings.batch_size,
        "definitions": DEFINITIONS,
    }
    if record.find(key) is not None:
        return
    what = f"maps of {display_name(one.label)}" + (f", seed {one.seed}" if one.seed is not None else "")

    def tell(done: int) -> None:
        work.on_progress(what, done, len(subjects))

    scores = score_maps(one, network, layer, subjects, settings, work.device, tell)
    about = {"label": one.label, "seed": one.seed, "backbone": one.backbone, "layer": layer}
    values = {**about, "scores": scores, "learned": learned_numbers(network)}
    record.add([(key, values)])
