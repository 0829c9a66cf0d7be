"""What `foveate robustness` is asked for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foveate.data.corruptions import (
    ARTICLE,
    CORRUPTIONS,
    LEAST_SIGMA,
    check_corruption,
    noise_name,
    noise_sigma,
)
from foveate.errors import RequestError, unknown_name
from foveate.evaluation.attacks import ATTACKS

__all__ = ["GROUPS", "RobustnessSettings"]

GROUPS = {"common": tuple(CORRUPTIONS), "article": ARTICLE}
"""Names that stand for several corruptions."""

Condition = tuple[str, int | None]


@dataclass(frozen=True)
class RobustnessSettings:
    """Which corruptions and attacks, how strong, on how many images.

    Attributes:
        corruptions: names, noise_σ, "common" (the 15) or "article" (what the DMSCA article measures).
        severities: of 1 to 5; none where noise of a stated σ alone is asked for.
        noise: σ of Gaussian noise, of 255, besides; 15 is the corruption noise_15.
        prepared: a folder of images corrupted elsewhere (see `open_prepared`), taken instead of making them.
        classes: a file that says which class each label or class folder of `prepared` is (see
            `open_prepared`).
        attacks: of "fgsm", "pgd" and "ensemble".
        eps: of the attacks, in units of 1/255.
        attack_images: how many of each run's own validation images are attacked, spread over the classes; of
            the test images where a network has none.
        images: at most so many test images, spread over the classes; None: all.
        batch_size: images that are corrupted and answered for at once; it decides the random numbers too.
        seed: of the corruptions' and attacks' random numbers.
    """

    corruptions: tuple[str, ...] = ("common",)
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    noise: tuple[float, ...] = ()
    prepared: Path | None = None
    classes: Path | None = None
    attacks: tuple[str, ...] = ()
    eps: tuple[float, ...] = (1.0, 8.0)
    attack_images: int = 200
    images: int | None = None
    batch_size: int = 250
    seed: int = 0

    def check(self) -> None:
        """Raise RequestError for a value that cannot be, naming it and the choices."""
        for severity in self.severities:
            if isinstance(severity, bool) or severity not in (1, 2, 3, 4, 5):
                raise RequestError(f"--severities takes whole numbers from 1 to 5, got {severity!r}")
        if not self.severities and any(noise_sigma(name) is None for name in self._named()):
            raise RequestError("--severities names none: expected some of 1 to 5")
        for sigma in self.noise:
            if not LEAST_SIGMA <= sigma <= 255:
                raise RequestError(f"--noise takes σ from {LEAST_SIGMA} to 255, of 255, got {sigma:g}")
        if self.classes is not None and self.prepared is None:
            raise RequestError("--classes says which class each label of a prepared set is: give --prepared")
        if self.prepared is None:
            for condition in self.conditions():
                check_corruption(*condition)
        for name in self.attacks:
            if name not in ATTACKS:
                raise RequestError(unknown_name("attack", name, ATTACKS))
        for eps in self.eps:
            if not 0 < eps <= 255:
                raise RequestError(f"--eps takes numbers over 0 and at most 255 (of 255), got {eps:g}")
        if self.attacks and not self.eps:
            raise RequestError("--eps names none: an attack needs one, such as 8 (of 255)")
        for name in ("images", "attack_images", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RequestError(f"--{name.replace('_', '-')} must be 1 or more, got {value}")
        if not self.attacks and not self.conditions():
            raise RequestError("nothing to measure: name --corruptions, --noise or --attacks")

    def conditions(self, prepared: Sequence[str] | None = None) -> list[Condition]:
        """Corruption and severity of all that is asked for, each once; severity None of noise_σ.

        `prepared` are the names that a prepared folder has: of a group those are taken that it has (see
        `missing`).

        Raises RequestError for a name that a prepared folder does not have, or a group of which it has none.
        """
        names: dict[str, None] = {}
        for asked in self.corruptions:
            there = [name for name in _members(asked) if prepared is None or _is_there(name, prepared)]
            if not there and asked in GROUPS:
                raise RequestError(
                    f"{self.prepared} has no corruption of {asked!r}: it has {', '.join(prepared or ())}"
                )
            if not there:
                raise RequestError(unknown_name("corruption of the prepared set", asked, prepared or ()))
            names |= dict.fromkeys(there)
        names |= dict.fromkeys(noise_name(sigma) for sigma in self.noise)
        return [
            (name, severity)
            for name in names
            for severity in ([None] if noise_sigma(name) else sorted(set(self.severities)))
        ]

    def missing(self, prepared: Sequence[str]) -> list[str]:
        """What is asked for as a member of a group, and a prepared folder does not have."""
        return [name for name in self._named() if not _is_there(name, prepared)]

    def _named(self) -> dict[str, None]:
        """Each corruption that is asked for by its name or its group's, once."""
        return dict.fromkeys(name for asked in self.corruptions for name in _members(asked))

    def described(self) -> dict[str, Any]:
        """The settings as plain values, for the record."""
        plain = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        paths = {"prepared": self.prepared, "classes": self.classes}
        return plain | {key: None if path is None else str(path) for key, path in paths.items()}


def _members(asked: str) -> list[str]:
    """The names that `asked` stands for, noise under its one name."""
    return [
        name if (sigma := noise_sigma(name)) is None else noise_name(sigma)
        for name in GROUPS.get(asked, (asked,))
    ]


def _is_there(name: str, prepared: Sequence[str]) -> bool:
    """Whether a prepared folder has it, or it is noise of a stated σ, which is made here."""
    return name in prepared or noise_sigma(name) is not None
