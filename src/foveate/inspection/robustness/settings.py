"""The settings of `foveate robustness`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.studies.spec.completers import Typed, several_of
from foveate.studies.spec.flag_groups import ATTACKS, CORRUPTIONS, IMAGES

__all__ = ["RobustnessSettings"]


def _corruptions(context: Typed) -> list[str]:
    from foveate.records.robustness import COMMON

    return several_of(["common", "article", *COMMON])(context)


def _attacks(context: Typed) -> list[str]:
    from foveate.records.robustness import ATTACKS

    return several_of(ATTACKS)(context)


@dataclass(frozen=True, kw_only=True)
class RobustnessSettings:
    """Which corruptions and attacks are tested, how strong, and on how many images.

    Attributes:
        corruptions: Corruptions, separated by commas: names such as fog or noise_15, common (the 15 of
            ImageNet-C), or article (those that the DMSCA article measures); '' for none.
        severities: Severities of the corruptions, from 1 to 5, separated by commas.
        noise: Standard deviations σ of further Gaussian noise, on pixel values up to 255, separated by
            commas: 15,25.
        prepared: Folder of images that were corrupted elsewhere, in the layout of CIFAR-10-C or ImageNet-C,
            to test classifiers on; by default the test images are corrupted here.
        classes: YAML file that gives the class for each label or class folder of the prepared images; by
            default they are matched by number and by name.
        attacks: Adversarial attacks on classifiers, separated by commas: fgsm, pgd, ensemble. They are run on
            each network's validation images, or on test images if it has none.
        eps: L∞ bounds of the attacks, on pixel values up to 255, separated by commas.
        attack_images: Number of images to attack for each network, spread over the classes.
        limit: Largest number of images, spread over the classes; by default all.
        batch_size: Images per forward pass of classifiers; the random numbers depend on it, too.
        seed: Seed of the random numbers in corruptions and attacks.
    """

    corruptions: Annotated[tuple[str, ...], Parameter(group=CORRUPTIONS, completer=_corruptions)] = (
        "common",
    )
    severities: Annotated[tuple[int, ...], Parameter(group=CORRUPTIONS)] = (1, 2, 3, 4, 5)
    noise: Annotated[tuple[float, ...], Parameter(group=CORRUPTIONS)] = ()
    prepared: Annotated[Path | None, Parameter(group=CORRUPTIONS)] = None
    classes: Annotated[Path | None, Parameter(group=CORRUPTIONS)] = None
    attacks: Annotated[tuple[str, ...], Parameter(group=ATTACKS, completer=_attacks)] = ()
    eps: Annotated[tuple[float, ...], Parameter(group=ATTACKS)] = (1.0, 8.0)
    attack_images: Annotated[int, Parameter(group=ATTACKS)] = 200
    limit: Annotated[int | None, Parameter(group=IMAGES)] = None
    batch_size: Annotated[int, Parameter(parse=False)] = 250
    seed: Annotated[int, Parameter(group=CORRUPTIONS)] = 0

    def described(self) -> dict[str, object]:
        """Return the settings as plain values, for the record, where `limit` is called images."""
        values = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        values["images"] = values.pop("limit")
        paths = {"prepared": self.prepared, "classes": self.classes}
        return values | {key: None if path is None else str(path) for key, path in paths.items()}
