"""`foveate robustness`: what trained networks keep of their accuracy on worse or attacked images."""

from functools import partial
from pathlib import Path

import torch

from foveate.data.corruptions import LEAST_SIDE
from foveate.data.prepared import CLEAN, PreparedCorruptions, open_prepared
from foveate.errors import RequestError, WorkError, first_line
from foveate.evaluation.attacks import check_toolbox
from foveate.inspection.assessment import Assessment, assessment
from foveate.inspection.examine import Work
from foveate.inspection.robustness.attacking import attack_network
from foveate.inspection.robustness.conditions import (
    Condition,
    asked_conditions,
    check_settings,
    missing_corruptions,
)
from foveate.inspection.robustness.corrupting import Corrupting
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import assumed_order, open_images
from foveate.studies.engine.fingerprints import describe_fingerprint
from foveate.studies.engine.watch import OnProgress

__all__ = ["robustness"]


def robustness(work: Work, settings: RobustnessSettings, source: str | None = None) -> Path:
    """Measure networks on clean and corrupted test images, then attack them; return the record's path.

    The images are those of the runs, or of `source`.

    Images are corrupted once for all networks, a batch at a time, with random numbers that seed, corruption,
    severity and the batch's place decide: every network sees the same images, and one that is measured later
    sees them too. All is computed in float32. Memory grows with the number of networks, all of which stay
    built; with the images by three numbers an image and network alone.

    A network that fails, or whose answers are not finite, is left out by name and the others go on.

    Raises:
        RequestError: the settings cannot be, the images do not fit the networks, or the prepared folder is no
            such set or has nothing of what is asked for.
        WorkError: the device's memory is too small; what was measured is kept.
    """
    check_settings(settings)
    if settings.attacks:
        check_toolbox()
    trained, on_progress = work.trained, work.on_progress
    data = open_images(trained, source)
    if data.image_size < LEAST_SIDE and settings.prepared is None and asked_conditions(settings):
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
    conditions = [place for place in asked if prepared is None or _is_there(prepared, *place)]
    if not conditions and not settings.attacks:
        raise RequestError(
            f"{settings.prepared} has none of the severities asked for "
            f"({', '.join(map(str, settings.severities))}): name others with --severities"
        )
    described = {
        **work.about,
        "settings": settings.described(),
        "data": {
            "name": data.name,
            "classes": list(data.classes),
            "image_size": data.image_size,
            "test": len(data.test),
            **describe_fingerprint(data),
            "prepared": prepared and str(settings.prepared),
        },
        "conditions": conditions,
    }
    try:
        with assessment(work.folder, "robustness", trained, described) as record:
            record.say(warning=assumed_order(trained, data.classes))
            if prepared:
                record.say(warning=prepared.assumed)
                _say_what_is_missing(record, settings, prepared, [c for c in asked if c not in conditions])
            corrupting = Corrupting(trained, data, settings, work.device, record, prepared)
            steps: list[Condition] = [(CLEAN, None), *conditions]
            for done, (name, severity) in enumerate(steps):
                on_progress(name if severity is None else f"{name} {severity}", done, len(steps))
                corrupting.measure(name, severity)
            on_progress("corruptions", len(steps), len(steps))
            for done, one in enumerate(trained if settings.attacks else ()):
                tell = partial(_tell_attack, on_progress, one.label, done, len(trained))
                attack_network(one, data, settings, work.device, record, tell)
            if settings.attacks:
                on_progress("attacks", len(trained), len(trained))
    except torch.OutOfMemoryError as error:
        raise WorkError(
            f"the memory of {work.device} is too small ({first_line(error)}): give fewer networks at a time, "
            "or --device cpu; what was measured is kept"
        ) from error
    return work.folder / "robustness.json"


def _is_there(prepared: PreparedCorruptions, name: str, severity: int | None) -> bool:
    """Whether the prepared set has it, or it is noise of a stated σ, which is made here."""
    return severity is None or prepared.has(name, severity)


def _say_what_is_missing(
    record: Assessment, settings: RobustnessSettings, prepared: PreparedCorruptions, missing: list[Condition]
) -> None:
    for sentence in prepared.left_out:
        record.say(left_out=sentence)
    if names := missing_corruptions(settings, prepared.corruptions):
        record.say(left_out=f"the prepared set does not have {', '.join(names)}.")
    for name, severity in missing:
        record.say(left_out=f"{name}, severity {severity}: the prepared set does not have it.")


def _tell_attack(on_progress: OnProgress, label: str, done: int, total: int, what: str) -> None:
    on_progress(f"{label}: {what}", done, total)
