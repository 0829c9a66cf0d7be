"""What one request for a transfer measures: each measurement has the key of its row, and makes that row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from foveate.data import Data, make_loader
from foveate.data.class_map import ClassMap, match_classes, read_class_map
from foveate.errors import RequestError
from foveate.evaluation.probe import features, linear_probe
from foveate.inspection.trained import Trained
from foveate.inspection.transfer.direct_answers import direct_scores, prepare
from foveate.inspection.transfer.fine_tuning import TUNED, Tuning, fine_tune
from foveate.inspection.transfer.settings import TransferSettings
from foveate.inspection.transfer.target import open_target
from foveate.models.backbones.head import find_head
from foveate.records.labels import BASELINE, display_name, name_with_seed
from foveate.records.metric import CLASSIFICATION
from foveate.records.run import Scores
from foveate.records.transfer import (
    DirectKey,
    DirectRow,
    ProbeKey,
    ProbeRow,
    TransferKey,
    TransferRow,
    TunedKey,
    TunedRow,
    Way,
    transfer_kind,
)
from foveate.studies.engine.fingerprints import as_begun
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.watch import OnProgress
from foveate.studies.spec.study import DataChoice

__all__ = ["ClassMatch", "Measurement", "Measurements"]

PROBE_VALIDATION = 0.2
"""Share of the training part that chooses the probe's penalty, where the set has no validation part."""

KeyType = TypeVar("KeyType", bound=TransferKey)
RowType = TypeVar("RowType", bound=TransferRow)


@dataclass(frozen=True)
class Measurement:
    """One row to measure: its title for progress and messages, its key, and the function that measures it."""

    title: str
    key: TransferKey
    measure: Callable[[], TransferRow]


@dataclass(frozen=True)
class ClassMatch:
    """Which classes of the target a network can answer for.

    Attributes:
        class_map: the matches; None where no direct answers are measured.
        exclusions: what was excluded, in sentences.
    """

    class_map: ClassMap | None = None
    exclusions: tuple[str, ...] = ()


class Measurements:
    """The measurements of one request; the target's images are loaded once for each input size."""

    def __init__(
        self, settings: TransferSettings, folder: Path, device: torch.device, on_progress: OnProgress
    ) -> None:
        self.settings, self.folder, self.device, self.on_progress = settings, folder, device, on_progress
        self._data: dict[tuple[int, int, int], Data] = {}

    def data_for(self, trained: Trained) -> Data:
        """Return the target's images as `trained` takes them."""
        if trained.input_size not in self._data:
            data = open_target(
                self.settings.to,
                trained.input_size,
                self.settings.limit,
                image_column=self.settings.image_column,
                label_column=self.settings.label_column,
            )
            record = self.folder / f"{transfer_kind(data.name)}.json"
            tuned = sorted((self.folder / TUNED).glob("*/spec.json"))
            self._data[trained.input_size] = as_begun(data, [record, *tuned])
        return self._data[trained.input_size]

    def match_classes(self, trained: Sequence[Trained], data: Data) -> dict[tuple[str, ...], ClassMatch]:
        """Match each list of source classes with the classes of the target."""
        return {classes: self._match(classes, data) for classes in {one.classes for one in trained}}

    def _match(self, classes: tuple[str, ...], data: Data) -> ClassMatch:
        settings = self.settings
        if settings.how and "direct" not in settings.how:
            return ClassMatch()
        try:
            if settings.classes is not None:
                found = read_class_map(settings.classes, data.classes, classes)
            else:
                found = match_classes(data.classes, classes)
            if len(found.matches) < 2:
                raise RequestError(
                    f"only {found.matches[0].name} of {data.name} has a match: with one answer there is "
                    "nothing to get wrong. Map more with --classes FILE, or give --how probe or finetune"
                )
        except RequestError as error:
            if settings.classes is not None or "direct" in settings.how:
                raise
            return ClassMatch(exclusions=(f"direct answers: {error}",))
        return ClassMatch(found, (found.unmatched,) if found.unmatched else ())

    def of(self, trained: Trained, class_map: ClassMap | None) -> Iterator[Measurement]:
        """Give every measurement that is asked for of one network."""
        how = self.settings.how or ("direct", "probe")
        data, name = self.data_for(trained), _name(trained)
        if "direct" in how and class_map is not None:
            pairs = tuple((match.target, match.source) for match in class_map.matches)
            direct = self._key(DirectKey, trained, data, "direct", classes=pairs)
            yield Measurement(f"{name}, directly", direct, partial(self._direct, direct, trained, class_map))
        if "probe" in how:
            fraction = self.settings.train_fraction
            probe = self._key(ProbeKey, trained, data, "probe", train_fraction=fraction)
            yield Measurement(f"{name}, probe", probe, partial(self._probe, probe, trained))
        if "finetune" in how:
            for tuning in self._tunings(trained, data):
                yield self._fine_tuning(tuning, data)

    def _fine_tuning(self, tuning: Tuning, data: Data) -> Measurement:
        trained, attached = tuning.trained, tuning.attached
        way: Way = "finetune" if attached is None else "attached"
        label = trained.label if attached is None else attached.label
        how = "fine-tuning" if attached is None else f"fine-tuning with {display_name(label)}"
        title = f"{name_with_seed(trained.label, tuning.seed)}, {how}"
        key = self._key(TunedKey, trained, data, way, label=label, seed=tuning.seed, run=tuning.id)
        return Measurement(title, key, partial(self._fine_tune, key, tuning, title))

    def _key(self, kind: type[KeyType], trained: Trained, data: Data, way: Way, **own: Any) -> KeyType:
        """Return the key of a row; `own` are the fields of its kind, and those that are not the network's."""
        shared = {
            "label": trained.label,
            "seed": trained.seed,
            "backbone": trained.backbone,
            "name": trained.name,
            "digest": trained.digest,
            "data": data.fingerprint,
            "images": len(data.test),
        }
        return kind(way=way, **shared | own)

    def _direct(self, key: DirectKey, trained: Trained, class_map: ClassMap) -> DirectRow:
        data = self.data_for(trained)
        scores = direct_scores(trained, data, class_map, self.device, self.settings.batch_size)
        return _row(DirectRow, key, scores)

    def _probe(self, key: ProbeKey, trained: Trained) -> ProbeRow:
        data, network = self.data_for(trained), trained.network(self.device)
        training, validation = data.split(trained.seed or 0, PROBE_VALIDATION, self.settings.train_fraction)
        head, _ = find_head(network, trained.input_size)
        parts = (
            (data.train, training),
            (data.validation_store, validation),
            (data.test, np.arange(len(data.test))),
        )
        batches = (
            make_loader(store, indices, self.settings.batch_size, shuffle_seed=None)
            for store, indices in parts
        )
        takes = partial(prepare, trained)
        train, held_out, test = (
            features(network, head, batch, takes, device=self.device) for batch in batches
        )
        probe = linear_probe(train, held_out, test, data.classes)
        return _row(
            ProbeRow,
            key,
            probe.scores,
            c=probe.c,
            validation_accuracy=probe.validation_accuracy,
            features=probe.features,
            trained_on=len(training),
        )

    def _tunings(self, trained: Trained, data: Data) -> Iterator[Tuning]:
        settings = self.settings
        choice = DataChoice(
            source=settings.to,
            image_size=trained.input_size[-1],
            upscale=True,
            skip_broken=True,
            train_fraction=settings.train_fraction,
            image_column=settings.image_column,
            label_column=settings.label_column,
        )
        recipe = settings.read_recipe()
        for seed in range(settings.seeds) if trained.seed is None else [trained.seed]:
            yield Tuning(trained, choice, data, recipe, seed)
            for one in settings.mechanisms if trained.label == BASELINE else ():
                yield Tuning(trained, choice, data, recipe, seed, one)

    def _report_tuning(self, title: str, done: int, total: int) -> None:
        self.on_progress("fine-tuning, steps", done, total, title)

    def _fine_tune(self, key: TunedKey, tuning: Tuning, title: str) -> TunedRow:
        machine = Machine(str(self.device), torch.get_num_threads())
        run = fine_tune(tuning, self.folder, machine, partial(self._report_tuning, title))
        assert run.data is not None  # every version that fine-tunes records it
        return _row(
            TunedRow,
            key,
            run.test,
            trained_on=run.data.train,
            validation_accuracy=run.epochs[run.best_epoch - 1].validation(CLASSIFICATION.primary),
            best_epoch=run.best_epoch,
            seconds=run.seconds,
        )


def _row(kind: type[RowType], key: TransferKey, scores: Scores, **own: float) -> RowType:
    """Return the row of `scores`; `own` are the fields of its kind."""
    names = ("accuracy", "loss", "precision", "recall", "f1", "ece", "per_class")
    shared = {name: getattr(scores, name) for name in names}
    chance, images = 1 / len(scores.per_class), sum(one.support for one in scores.per_class)
    return kind.model_validate({"key": key, **shared, "chance": chance, "images": images, **own})


def _name(trained: Trained) -> str:
    return trained.name if trained.seed is None else name_with_seed(trained.label, trained.seed)
