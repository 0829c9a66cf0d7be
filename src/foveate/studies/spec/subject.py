"""The subject of a study: mechanisms on a backbone, whole networks, the parts or options of a mechanism."""

from collections.abc import Mapping
from typing import Any

from foveate.errors import RequestError
from foveate.models.backbones.names import check_backbone
from foveate.records.design import Design
from foveate.records.labels import BASELINE
from foveate.studies.spec.ablation import plan_ablation
from foveate.studies.spec.candidate import Candidate, parse_candidates, read_candidate
from foveate.studies.spec.sweep import plan_sweep

__all__ = ["SUBJECTS", "read_subject"]

SUBJECTS = ("attention", "ablate", "sweep", "backbones", "values")
"""Keys of a study file that say what is compared; `values` belongs to `sweep`."""


def read_subject(
    settings: Mapping[str, Any], *, identity_init: bool = False
) -> tuple[str | None, tuple[Candidate, ...], Design]:
    """Return the common backbone (None if each candidate is a network), the candidates and the design.

    `identity_init` is that of mechanisms that do not give it.

    Raises:
        RequestError: there is nothing to compare, there are two subjects, or a name is unknown.
    """
    given = [key for key in SUBJECTS if settings.get(key) and key != "values"]
    if len(given) != 1:
        raise RequestError(
            "the study names "
            + (f"{' and '.join(given)} at once" if given else "no attention")
            + ": give one of attention (none,se,dmsca), backbones, ablate and sweep, "
            "as a flag or in the study file"
        )
    (subject,) = given
    if "values" in settings and subject != "sweep":
        raise RequestError("values belong to sweep: give the mechanism as sweep")
    if subject == "backbones":
        return None, _networks(settings), Design(kind="networks")
    backbone = settings.get("backbone")
    if not backbone:
        raise RequestError(
            "the study names no backbone: give --backbone or the key backbone in the study file"
        )
    check_backbone(str(backbone))
    if subject == "attention":
        return str(backbone), parse_candidates(settings["attention"], identity_init=identity_init), Design()
    mechanism = read_candidate(settings[subject], identity_init=identity_init)
    if mechanism.name == BASELINE:
        raise RequestError(f"{subject} takes a mechanism: the baseline has neither parts nor options")
    if subject == "ablate":
        return str(backbone), *plan_ablation(mechanism)
    return str(backbone), *plan_sweep(mechanism, settings.get("values", ()))


def _networks(settings: Mapping[str, Any]) -> tuple[Candidate, ...]:
    if settings.get("backbone"):
        raise RequestError("the study names backbone and backbones: give one of the two")
    if settings.get("control"):
        raise RequestError("control needs mechanisms on one backbone: leave it out with backbones")
    given = settings["backbones"]
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"backbones {given!r}: expected names, for example [resnet18, convnext_tiny]")
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise RequestError("backbones names nothing: expected for example resnet18,convnext_tiny")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RequestError(f"backbones names {', '.join(twice)} more than once")
    for name in names:
        check_backbone(name)
    return tuple(Candidate(name=BASELINE, backbone=name) for name in names)
