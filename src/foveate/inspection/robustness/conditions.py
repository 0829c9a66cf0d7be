"""The corruptions and severities that `foveate robustness` is asked for, and their validation."""

from collections.abc import Sequence

from foveate.data.corruption_names import ARTICLE, LEAST_SIGMA, check_corruption, noise_name, noise_sigma
from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.records.metric import CLASSIFICATION, TaskRecord
from foveate.records.robustness import ATTACKS, COMMON, SEVERITIES, Condition

__all__ = ["asked_conditions", "check_settings", "check_task", "missing_corruptions"]

GROUPS = {"common": COMMON, "article": ARTICLE}
"""Names that stand for several corruptions."""


def check_settings(settings: RobustnessSettings) -> None:
    """Raise RequestError for a value that cannot be used, naming it and the choices."""
    check_at_least(settings, limit=1, attack_images=1, batch_size=1, seed=0)
    for severity in settings.severities:
        if isinstance(severity, bool) or severity not in SEVERITIES:
            raise RequestError(f"--severities takes whole numbers from 1 to 5, got {severity!r}")
    if not settings.severities and any(noise_sigma(name) is None for name in _named(settings)):
        raise RequestError("--severities is empty: expected some of 1 to 5")
    for sigma in settings.noise:
        if not LEAST_SIGMA <= sigma <= 255:
            raise RequestError(f"--noise takes σ from {LEAST_SIGMA} to 255, of 255, got {sigma:g}")
    if settings.classes is not None and settings.prepared is None:
        raise RequestError("--classes gives the class for each label of a prepared set: give --prepared")
    if settings.prepared is None:
        for condition in asked_conditions(settings):
            check_corruption(*condition)
    for name in settings.attacks:
        if name not in ATTACKS:
            raise RequestError(unknown_name("attack", name, ATTACKS))
    for eps in settings.eps:
        if not 0 < eps <= 255:
            raise RequestError(f"--eps takes numbers over 0 and at most 255 (of 255), got {eps:g}")
    if settings.attacks and not settings.eps:
        raise RequestError("--eps is empty: an attack needs a bound, such as 8 (of 255)")
    if not settings.attacks and not asked_conditions(settings):
        raise RequestError("nothing to measure: name --corruptions, --noise or --attacks")


def check_task(settings: RobustnessSettings, task: TaskRecord) -> None:
    """Raise RequestError for attacks, or images that were corrupted elsewhere, of another task's networks."""
    if task == CLASSIFICATION:
        return
    if settings.attacks:
        raise RequestError(
            f"--attacks is for classification, and these networks are for {task.name}: leave it out; "
            "corruptions are measured"
        )
    if settings.prepared is not None:
        raise RequestError(
            f"--prepared is for classification, and these networks are for {task.name}: a prepared set has "
            "classes of whole images. Leave it out, and the images are corrupted here"
        )


def asked_conditions(settings: RobustnessSettings, prepared: Sequence[str] | None = None) -> list[Condition]:
    """Return each corruption and severity that is asked for, once; the severity of noise_σ is None.

    `prepared` names the corruptions of a prepared folder. Of a group, those that the folder has are returned
    (see `missing_corruptions`).

    Raises:
        RequestError: a name that the prepared folder does not have, or a group of which it has none.
    """
    names: dict[str, None] = {}
    for asked in settings.corruptions:
        there = [name for name in _members(asked) if prepared is None or _is_there(name, prepared)]
        if not there and asked in GROUPS:
            raise RequestError(
                f"{settings.prepared} has no corruption of {asked!r}: it has {', '.join(prepared or ())}"
            )
        if not there:
            raise RequestError(unknown_name("corruption of the prepared set", asked, prepared or ()))
        names |= dict.fromkeys(there)
    names |= dict.fromkeys(noise_name(sigma) for sigma in settings.noise)
    return [
        (name, severity)
        for name in names
        for severity in ([None] if noise_sigma(name) else sorted(set(settings.severities)))
    ]


def missing_corruptions(settings: RobustnessSettings, prepared: Sequence[str]) -> list[str]:
    """Return the members of the groups asked for that a prepared folder does not have."""
    return [name for name in _named(settings) if not _is_there(name, prepared)]


def _named(settings: RobustnessSettings) -> dict[str, None]:
    """Return each corruption that is asked for, by its own name or that of its group, once."""
    return dict.fromkeys(name for asked in settings.corruptions for name in _members(asked))


def _members(asked: str) -> list[str]:
    """Return the names that `asked` stands for, noise under its one name."""
    return [
        name if (sigma := noise_sigma(name)) is None else noise_name(sigma)
        for name in GROUPS.get(asked, (asked,))
    ]


def _is_there(name: str, prepared: Sequence[str]) -> bool:
    """Return whether a prepared folder has it, or it is noise of a stated σ, which is made here."""
    return name in prepared or noise_sigma(name) is not None
