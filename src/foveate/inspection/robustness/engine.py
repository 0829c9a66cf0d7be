"""`foveate robustness`: measure trained networks on corrupted and on attacked images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from foveate.data import Data
from foveate.data.corruptions import LEAST_SIDE
from foveate.data.dense.dataset import DenseData
from foveate.data.prepared import PreparedCorruptions, open_prepared
from foveate.errors import RequestError, WorkError, first_line
from foveate.evaluation.attacks import check_toolbox
from foveate.inspection.assessment import Assessment, assessment, examined_networks
from foveate.inspection.examine import Work
from foveate.inspection.robustness.attacking import attack_network
from foveate.inspection.robustness.classified import ClassifiedImages
from foveate.inspection.robustness.conditions import (
    asked_conditions,
    check_settings,
    check_task,
    missing_corruptions,
)
from foveate.inspection.robustness.corrupting import ConditionImages, Corrupting
from foveate.inspection.robustness.dense import DenseImages, own_batch_size
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order, open_images
from foveate.records.base import FORMAT
from foveate.records.labels import name_with_seed
from foveate.records.robustness import (
    CLEAN,
    ROBUSTNESS,
    Condition,
    RobustnessData,
    RobustnessRecord,
    RobustnessRow,
    RobustnessSettingsRecord,
)
from foveate.studies.engine.fingerprints import describe_fingerprint
from foveate.studies.engine.watch import OnProgress
from foveate.tasks import find_task
from foveate.version import __version__

__all__ = ["robustness"]


def robustness(work: Work, settings: RobustnessSettings, others: OtherImages) -> Path:
    """Measure networks on clean and corrupted test images, then attack them; return the record's path.

    The images are those of the runs, or `others`.

    Images are corrupted once for all networks, a batch at a time. The seed, the corruption, the severity and
    the position of the batch decide the random numbers: every network is given the same images, and so is one
    that is measured later. Everything is computed in float32. All networks stay in memory; beside them,
    memory grows by three numbers for each image and network.

    Of a detection or a segmentation, each image is corrupted by itself, and its own position decides its
    random numbers. Memory grows by the detections in each image.

    A network that fails, or whose answers are not finite, is excluded by name, and the others go on.

    Raises:
        RequestError: invalid settings, images that do not fit the networks, or a prepared folder that is no
            such set or has nothing of what is asked for.
        WorkError: the device's memory is too small; what was measured is kept.
    """
    check_settings(settings)
    if settings.attacks:
        check_toolbox()
    trained, on_progress = work.trained, work.on_progress
    task = find_task(trained[0].task).record
    check_task(settings, task)
    data = open_images(trained, others.data, **others.columns)
    is_classified = not isinstance(data, DenseData)
    if (
        is_classified
        and data.image_size < LEAST_SIDE
        and settings.prepared is None
        and asked_conditions(settings)
    ):
        raise RequestError(
            f"corruptions need images of at least {LEAST_SIDE} pixels a side, and the networks take "
            f"{data.image_size}: leave them out (--corruptions '') to attack alone"
        )
    prepared = None
    if settings.prepared is not None:
        prepared = open_prepared(
            settings.prepared, data.classes, data.image_size, data.channels, settings.classes, data.greys
        )
    asked = asked_conditions(settings, prepared.corruptions if prepared else None)
    conditions = [
        (name, severity)
        for name, severity in asked
        if prepared is None or severity is None or prepared.has(name, severity)
    ]
    if not conditions and not settings.attacks:
        raise RequestError(
            f"{settings.prepared} has none of the severities asked for "
            f"({', '.join(map(str, settings.severities))}): name others with --severities"
        )
    if isinstance(data, DenseData):
        settings = replace(settings, batch_size=own_batch_size(trained))
    images = _images(data, settings, work.device, prepared)
    path = work.folder / f"{ROBUSTNESS}.json"
    begun = RobustnessRecord(
        format=FORMAT,
        foveate=__version__,
        kind=ROBUSTNESS,
        command=work.command,
        environment=work.environment,
        settings=RobustnessSettingsRecord.model_validate(settings.described()),
        data=_describe_data(data, settings, images),
        conditions=tuple(conditions),
        networks=examined_networks(trained),
        task=task,
    )
    try:
        with assessment(path, begun) as record:
            _warn_of_assumptions(record, trained, data, prepared)
            if prepared:
                _exclude_missing(record, settings, prepared, [c for c in asked if c not in conditions])
            corrupting = Corrupting(trained, data, images, settings, work.device, record, prepared)
            steps: list[Condition] = [(CLEAN, None), *conditions]
            for done, (name, severity) in enumerate(steps):
                title = name if severity is None else f"{name} {severity}"
                on_share = partial(_report, on_progress, "corruptions", done, len(steps), title)
                corrupting.measure(name, severity, on_share)
            on_progress("corruptions", len(steps), len(steps))
            for done, one in enumerate(trained if settings.attacks else ()):
                title = name_with_seed(one.label, one.seed)
                on_step = partial(_report_attack, on_progress, done, len(trained), title)
                attack_network(one, data, settings, work.device, record, on_step)
            if settings.attacks:
                on_progress("attacks", len(trained), len(trained))
    except torch.OutOfMemoryError as error:
        raise WorkError(
            f"the memory of {work.device} is too small ({first_line(error)}): give fewer networks at a time, "
            "or --device cpu; what was measured is kept"
        ) from error
    return path


def _images(
    data: Data, settings: RobustnessSettings, device: torch.device, prepared: PreparedCorruptions | None
) -> ConditionImages:
    if isinstance(data, DenseData):
        return DenseImages(data, settings, device)
    return ClassifiedImages(data, settings, device, prepared)


def _describe_data(data: Data, settings: RobustnessSettings, images: ConditionImages) -> RobustnessData:
    described = RobustnessData(
        name=data.name,
        classes=data.classes,
        image_size=data.image_size,
        test=len(data.test),
        **describe_fingerprint(data),
        prepared=None if settings.prepared is None else str(settings.prepared),
    )
    if isinstance(images, DenseImages):
        return described.model_copy(update={"short_sides": images.short_sides()})
    return described


def _warn_of_assumptions(
    record: Assessment[RobustnessRow],
    trained: Sequence[Trained],
    data: Data,
    prepared: PreparedCorruptions | None,
) -> None:
    for assumed in (assumed_order(trained, data.classes), prepared.assumed if prepared else None):
        if assumed is not None:
            record.warn(assumed)


def _exclude_missing(
    record: Assessment[RobustnessRow],
    settings: RobustnessSettings,
    prepared: PreparedCorruptions,
    missing: Sequence[Condition],
) -> None:
    """Record what is asked for and the prepared set does not have."""
    for sentence in prepared.exclusions:
        record.exclude(sentence)
    if names := missing_corruptions(settings, prepared.corruptions):
        record.exclude(f"the prepared set does not have {', '.join(names)}.")
    for name, severity in missing:
        record.exclude(f"{name}, severity {severity}: the prepared set does not have it.")


def _report(on_progress: OnProgress, what: str, done: int, total: int, title: str, share: float) -> None:
    """Report that `share` of the part after `done` parts is done."""
    on_progress(what, done + share, total, title)


def _report_attack(
    on_progress: OnProgress, done: int, total: int, title: str, attack: str, share: float
) -> None:
    _report(on_progress, "attacks", done, total, f"{title}: {attack}", share)
