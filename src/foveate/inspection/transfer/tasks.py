"""What one request for a transfer measures: task by task, each with the key of its row."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foveate.data import Data, make_loader
from foveate.data.class_map import ClassMap, match_classes, read_class_map
from foveate.errors import RequestError
from foveate.evaluation.probe import Features, features, linear_probe
from foveate.inspection.trained import Trained
from foveate.inspection.transfer.direct_answers import direct_scores, prepared, row_values
from foveate.inspection.transfer.fine_tuning import TUNED, Tuning, fine_tune
from foveate.inspection.transfer.settings import TransferSettings
from foveate.inspection.transfer.target import open_target
from foveate.models.backbones.head import find_head
from foveate.records.labels import BASELINE
from foveate.studies.engine.fingerprints import as_begun
from foveate.studies.engine.run import Machine
from foveate.studies.engine.watch import OnProgress
from foveate.studies.spec.study import DataChoice

__all__ = ["Task", "Tasks", "record_kind"]

PROBE_VALIDATION = 0.2
"""Share of the training part that chooses the probe's penalty, where the set has no validation part."""

Task = tuple[str, dict[str, Any], Callable[[], dict[str, Any]]]
"""What is measured in words, the key of its row, and what measures it."""


class Tasks:
    """The work of one request: its images by size and channels, its rows' keys, and what measures them."""

    def __init__(
        self, settings: TransferSettings, folder: Path, device: torch.device, on_progress: OnProgress
    ) -> None:
        self.settings, self.folder, self.device, self.on_progress = settings, folder, device, on_progress
        self._data: dict[tuple[int, int, int], Data] = {}

    def data_for(self, trained: Trained) -> Data:
        """The target's images as `trained` takes them, loaded once for all that take the same."""
        if trained.input_size not in self._data:
            columns = {name: getattr(self.settings, name) for name in ("image_column", "label_column")}
            data = open_target(self.settings.to, trained.input_size, self.settings.images, **columns)
            record = self.folder / f"{record_kind(data)}.json"
            tuned = sorted((self.folder / TUNED).glob("*/spec.json"))
            self._data[trained.input_size] = as_begun(data, [record, *tuned])
        return self._data[trained.input_size]

    def maps(
        self, trained: Sequence[Trained], data: Data
    ) -> dict[tuple[str, ...], tuple[ClassMap | None, list[str]]]:
        """For each list of source classes its matches (None: no direct answers), and what is left out."""
        return {classes: self._map(classes, data) for classes in {one.classes for one in trained}}

    def _map(self, classes: tuple[str, ...], data: Data) -> tuple[ClassMap | None, list[str]]:
        settings = self.settings
        if settings.how and "direct" not in settings.how:
            return None, []
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
            return None, [f"direct answers: {error}"]
        return found, [found.left_out] if found.left_out else []

    def tasks(self, trained: Trained, class_map: ClassMap | None) -> Iterator[Task]:
        """All that is asked of one network."""
        how = self.settings.how or ("direct", "probe")
        data, title = self.data_for(trained), _title(trained)
        if "direct" in how and class_map is not None:
            pairs = [[list(match.target), list(match.source)] for match in class_map.matches]
            key = self._key(trained, data, "direct") | {"classes": pairs}
            yield f"{title}, directly", key, partial(self._direct, trained, class_map)
        if "probe" in how:
            key = self._key(trained, data, "probe") | {"train_fraction": self.settings.train_fraction}
            yield f"{title}, probe", key, partial(self._probe, trained)
        if "finetune" in how:
            for tuning in self._tunings(trained, data):
                way = "finetune" if tuning.attached is None else "attached"
                label = trained.label if tuning.attached is None else tuning.attached.label
                own = {"label": label, "seed": tuning.seed, "run": tuning.id}
                words = "fine-tuning" if tuning.attached is None else f"fine-tuning with {label}"
                named = f"{trained.label}, seed {tuning.seed}, {words}"
                yield named, self._key(trained, data, way) | own, partial(self._fine_tune, tuning, named)

    def _key(self, trained: Trained, data: Data, way: str) -> dict[str, Any]:
        return {
            "way": way,
            "label": trained.label,
            "seed": trained.seed,
            "backbone": trained.backbone,
            "network": trained.name,
            "digest": trained.digest,
            "data": data.fingerprint,
            "images": len(data.test),
        }

    def _direct(self, trained: Trained, class_map: ClassMap) -> dict[str, Any]:
        data = self.data_for(trained)
        return direct_scores(trained, data, class_map, self.device, self.settings.batch_size)

    def _probe(self, trained: Trained) -> dict[str, Any]:
        data, network = self.data_for(trained), trained.network(self.device)
        split = data.split(trained.seed or 0, PROBE_VALIDATION, self.settings.train_fraction)
        head, _ = find_head(network, trained.input_size)
        parts: list[Features] = []
        for store, indices in (
            (data.train, split[0]),
            (data.validation_store, split[1]),
            (data.test, np.arange(len(data.test))),
        ):
            loader = make_loader(store, indices, self.settings.batch_size, shuffle_seed=None)
            parts.append(features(network, head, loader, partial(prepared, trained), device=self.device))
        scores = linear_probe(parts[0], parts[1], parts[2], data.classes)
        chosen = {name: scores[name] for name in ("c", "validation_accuracy", "features")}
        return row_values(scores, len(data.classes), len(data.test)) | chosen | {"trained_on": len(split[0])}

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
            for one in settings.attach if trained.label == BASELINE else ():
                yield Tuning(trained, choice, data, recipe, seed, one)

    def _fine_tune(self, tuning: Tuning, title: str) -> dict[str, Any]:
        machine = Machine(str(self.device), torch.get_num_threads())
        result = fine_tune(tuning, self.folder, machine, partial(self.on_progress, title))
        count = len(tuning.data.classes)
        return row_values(result["test"], count, result["data"]["test"]) | {
            "trained_on": result["data"]["train"],
            "validation_accuracy": result["epochs"][result["best_epoch"] - 1]["validation_accuracy"],
            "best_epoch": result["best_epoch"],
            "seconds": result["seconds"],
        }


def record_kind(data: Data) -> str:
    """The name of the record of transfers to these images."""
    return f"transfer-{''.join(c if c.isalnum() or c in '_-' else '-' for c in data.name)}"


def _title(trained: Trained) -> str:
    return trained.name if trained.seed is None else f"{trained.label}, seed {trained.seed}"
