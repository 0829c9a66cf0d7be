"""Attacks on trained networks, each on validation images of its own run where it has some."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, seen
from foveate.data.survey import spread
from foveate.errors import DiskError, first_line
from foveate.evaluation.attacks import NormalisedModel, attack, masking_signs, useless_gradients
from foveate.evaluation.running_scores import RunningScores
from foveate.inspection.assessment import Assessment
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.studies.engine.fingerprints import under
from foveate.studies.spec.study import RunSpec

__all__ = ["attack_network"]

UNATTACKED = "none"

Rows = dict[tuple[str, float | None], dict[str, Any]]


def attack_network(
    one: Trained,
    data: Data,
    settings: RobustnessSettings,
    device: torch.device,
    record: Assessment,
    on_step: Callable[[str], None],
) -> None:
    """Attack one network by all that is asked for, and say where its gradients may be masked.

    The images are `settings.attack_images` of the validation part of its own run, spread over the classes:
    runs of the same seed share them. A network from elsewhere is attacked on test images, and so is a run
    where other images than its own were given. The first row is that of the images as they are. What was
    measured before is only read; an error leaves the network out, but that the device's memory is too small.
    """
    keys = {
        (name, eps): {
            "attack": name,
            "eps": eps,
            "network": one.name,
            "digest": one.digest,
            "data": data.fingerprint,
            "images": settings.attack_images,
            "split": _split_of(one, data),
            "batch_size": settings.batch_size,
            "seed": settings.seed,
            "device": device.type,
        }
        for name, eps in _wanted(settings)
    }
    rows: Rows = {place: row for place, key in keys.items() if (row := record.find(key)) is not None}
    missing = [place for place in keys if place not in rows]
    try:
        if missing:
            model = NormalisedModel(one.network(device), one.normalise)
            images, labels = _images(one, data, settings.attack_images, device)
        for name, eps in missing:
            on_step(f"{name} at {eps:g}/255" if eps is not None else "clean images")
            rows[name, eps] = _measure(model, images, labels, name, eps, settings, len(data.classes))
            record.add([(keys[name, eps], rows[name, eps])])
    except (DiskError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # one network's mishap is not the others'
        record.say(
            left_out=f"{one.name} ({one.label}) was not attacked to the end: "
            f"{type(error).__name__}: {first_line(error)}."
        )
    for sign in _signs(rows):
        record.say(
            warning=f"Gradients of {one.name} ({one.label}) may be masked, so that attacks understate what "
            f"breaks it: {sign}."
        )


def _wanted(settings: RobustnessSettings) -> list[tuple[str, float | None]]:
    named = [(name, eps) for eps in sorted(set(settings.eps)) for name in dict.fromkeys(settings.attacks)]
    return [(UNATTACKED, None), *named]


def _own_run(one: Trained, data: Data) -> RunSpec | None:
    """The network's run, where these are its own images: it has a validation part of them."""
    own = one.spec is not None and under(data, one.spec.fingerprint) is not None
    return one.spec if own else None


def _split_of(one: Trained, data: Data) -> list[Any]:
    """What decides the images that can be attacked: the validation part of a run, or the test part."""
    run = _own_run(one, data)
    return ["test"] if run is None else [run.seed, run.recipe.validation_fraction, run.data.train_fraction]


def _images(one: Trained, data: Data, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) in 0..1 and labels (N,)."""
    store, indices = data.test, np.arange(len(data.test))
    if run := _own_run(one, data):
        store = data.validation_store
        _, indices = data.split(run.seed, run.recipe.validation_fraction, run.data.train_fraction)
    chosen = indices[spread(store.labels[indices], count)]
    images, labels = store.__getitems__(chosen)
    return seen(images, data.image_size).to(device), labels.to(device)


def _measure(
    model: NormalisedModel,
    images: Tensor,
    labels: Tensor,
    name: str,
    eps: float | None,
    settings: RobustnessSettings,
    classes: int,
) -> dict[str, Any]:
    more: dict[str, Any]
    if eps is None:
        with torch.inference_mode():
            logits = torch.cat([model(some) for some in images.split(settings.batch_size)])
        more = {"gradients": useless_gradients(model, images, labels, settings.batch_size)}
    else:
        done = attack(
            model,
            images,
            labels,
            name,
            eps,
            classes=classes,
            seed=settings.seed,
            batch_size=settings.batch_size,
        )
        logits, more = done.logits, {"parts": done.parts}
    if not logits.isfinite().all():
        raise FloatingPointError("its answers are not finite")
    scores = RunningScores()
    scores.add(logits, labels)
    return scores.values() | more


def _signs(rows: Mapping[tuple[str, float | None], Mapping[str, Any]]) -> list[str]:
    accuracies: dict[float, dict[str, float]] = {}
    for (_, eps), row in rows.items():
        if eps is not None:
            accuracies.setdefault(eps, {}).update(row["parts"])
    clean = rows.get((UNATTACKED, None))
    images = max((row["images"] for row in rows.values()), default=0)
    return masking_signs(accuracies, clean and clean["gradients"], images)
