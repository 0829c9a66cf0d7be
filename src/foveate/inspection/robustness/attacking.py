"""Attacks on trained networks, each on validation images of its own run where it has some."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, seen
from foveate.data.survey import spread
from foveate.evaluation.attacks import NormalisedModel, attack, masking_signs, useless_gradients
from foveate.evaluation.running_scores import RunningScores
from foveate.inspection.assessment import Assessment
from foveate.inspection.robustness.failures import one_network
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained
from foveate.records.labels import display_name
from foveate.records.robustness import UNATTACKED, AttackKey, AttackRow, RobustnessRow
from foveate.studies.engine.fingerprints import under
from foveate.studies.spec.study import RunSpec

__all__ = ["attack_network"]


def attack_network(
    one: Trained,
    data: Data,
    settings: RobustnessSettings,
    device: torch.device,
    record: Assessment[RobustnessRow],
    on_step: Callable[[str, float], None],
) -> None:
    """Attack one network with every attack asked for, and warn where its gradients may be masked.

    The images are `settings.attack_images` of the validation part of its own run, spread over the classes:
    runs of the same seed share them. A network from elsewhere is attacked on test images, and so is a run
    where other images than its own are given. The first row is about the images without an attack. Rows that
    were measured before are read from the record. An error excludes the network. `on_step` is called with the
    attack that begins, and the share of the network's attacks that is done.
    """
    rows: list[AttackRow] = []
    missing: list[AttackKey] = []
    for key in _keys(one, data, settings, device):
        row = record.find(key)
        if isinstance(row, AttackRow):
            rows.append(row)
        else:
            missing.append(key)

    def exclude(error: str) -> None:
        record.exclude(f"{one.name} ({display_name(one.label)}) was not attacked to the end: {error}.")

    if missing:
        with one_network(exclude):
            model = NormalisedModel(one.network(device), one.normalise)
            images, labels = _images(one, data, settings.attack_images, device)
            for done, key in enumerate(missing):
                title = "clean images" if key.eps is None else f"{key.attack} at {key.eps:g}/255"
                on_step(title, done / len(missing))
                rows.append(_measure(model, images, labels, key, settings, len(data.classes)))
                record.add(rows[-1:])
    for sign in _signs(rows):
        record.warn(
            f"Gradients of {one.name} ({display_name(one.label)}) may be masked, so that attacks understate "
            f"what breaks it: {sign}."
        )


def _keys(one: Trained, data: Data, settings: RobustnessSettings, device: torch.device) -> list[AttackKey]:
    attacks = [(name, eps) for eps in sorted(set(settings.eps)) for name in dict.fromkeys(settings.attacks)]
    return [
        AttackKey(
            attack=name,
            eps=eps,
            name=one.name,
            digest=one.digest,
            data=data.fingerprint,
            images=settings.attack_images,
            split=_split_of(one, data),
            batch_size=settings.batch_size,
            seed=settings.seed,
            device=device.type,
        )
        for name, eps in [(UNATTACKED, None), *attacks]
    ]


def _own_run(one: Trained, data: Data) -> RunSpec | None:
    """Return the run of the network where `data` are its own images, of which it has a validation part."""
    own = one.spec is not None and under(data, one.spec.fingerprint) is not None
    return one.spec if own else None


def _split_of(one: Trained, data: Data) -> tuple[str | float, ...]:
    """Return what decides which images can be attacked: the validation part of a run, or the test part."""
    run = _own_run(one, data)
    if run is None:
        return ("test",)
    return run.seed, run.recipe.validation_fraction, run.data.train_fraction


def _images(one: Trained, data: Data, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) in 0..1 and labels (N,)."""
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
    key: AttackKey,
    settings: RobustnessSettings,
    classes: int,
) -> AttackRow:
    if key.eps is None:
        with torch.inference_mode():
            logits = torch.cat([model(some) for some in images.split(settings.batch_size)])
        gradients = useless_gradients(model, images, labels, settings.batch_size)
        return _row(key, logits, labels).model_copy(update={"gradients": gradients})
    attacked = attack(
        model,
        images,
        labels,
        key.attack,
        key.eps,
        classes=classes,
        seed=settings.seed,
        batch_size=settings.batch_size,
    )
    return _row(key, attacked.logits, labels).model_copy(update={"parts": attacked.parts})


def _row(key: AttackKey, logits: Tensor, labels: Tensor) -> AttackRow:
    if not logits.isfinite().all():
        raise FloatingPointError("its answers are not finite")
    running = RunningScores()
    running.add(logits, labels)
    scores = running.values()
    return AttackRow(
        key=key, accuracy=scores.accuracy, loss=scores.loss, ece=scores.ece, images=scores.images
    )


def _signs(rows: Sequence[AttackRow]) -> list[str]:
    accuracies: dict[float, dict[str, float]] = {}
    for row in rows:
        if row.key.eps is not None:
            accuracies.setdefault(row.key.eps, {}).update(row.parts)
    gradients = next((row.gradients for row in rows if row.gradients is not None), None)
    return masking_signs(accuracies, gradients, max((row.images for row in rows), default=0))
