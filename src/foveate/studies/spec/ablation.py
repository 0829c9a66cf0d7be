"""`foveate ablate`: add the parts of a mechanism one at a time, and remove them one at a time."""

from collections.abc import Callable
from typing import NamedTuple

from foveate.errors import RequestError
from foveate.records.design import Contrast, Design
from foveate.records.labels import BASELINE
from foveate.references import EXAMPLE
from foveate.studies.spec.candidate import Candidate, OptionValue
from foveate.studies.spec.options import option_defaults

__all__ = ["ABLATIONS", "plan_ablation"]

ADDED, LEFT_OUT, ALONE, WHOLE = "added one at a time", "left out one at a time", "alone", "all of it"


class Part(NamedTuple):
    """A part of DMSCA: the options that remove it, and the options that have no effect without it."""

    name: str
    absent: dict[str, OptionValue]
    needed_by: tuple[str, ...] = ()


DMSCA_PARTS = (
    Part("GCE", {"gce": False}, ("reduction", "temperature")),
    Part("TCA", {"temperature": 1.0}),
    Part("MSCE", {"msce": False}, ("kernel_sizes",)),
    Part("DII", {"dii": False}, ("mid_channels",)),
    Part("DFF", {"dff": False}, ("fusion_init",)),
    Part("AA", {"aa": False}),
)
"""In the order of the equations. Without TCA, τ is fixed at 1, and σ(f) is an ordinary gate."""


def _dmsca(given: Candidate) -> tuple[list[Candidate], list[Contrast]]:
    taken_out = {key for part in DMSCA_PARTS for key in part.absent} & given.options.keys()
    if taken_out:
        raise RequestError(
            f"ablate {given.label}: the ablation itself sets {', '.join(sorted(taken_out))}; remove it "
            "from the options"
        )

    def having(names: tuple[str, ...], alias: str) -> Candidate:
        options = dict(given.options)
        for part in DMSCA_PARTS:
            if part.name not in names:
                options |= part.absent
        for part in DMSCA_PARTS:
            if part.name not in names:
                options = {key: value for key, value in options.items() if key not in part.needed_by}
        return given.model_copy(update={"options": options, "alias": alias})

    def named(parts: str) -> str:
        return parts if given.label == given.name else f"{parts} of {given.label}"

    every = tuple(part.name for part in DMSCA_PARTS)
    candidates = {BASELINE: Candidate(name=BASELINE)}
    contrasts = []
    before = BASELINE
    for number, name in enumerate(every, start=1):
        alias = given.label if number == len(every) else named("+".join(every[:number]))
        candidates[alias] = having(every[:number], alias)
        contrasts.append(Contrast(a=before, b=alias, title=name, group=ADDED))
        before = alias
    for name in every:
        # The mechanism without its last part is a candidate already.
        alias = named("+".join(every[:-1]) if name == every[-1] else f"without {name}")
        if alias not in candidates:
            candidates[alias] = having(tuple(other for other in every if other != name), alias)
        contrasts.append(Contrast(a=alias, b=given.label, title=name, group=LEFT_OUT))
    alone = named("MSCE alone")
    candidates[alone] = having(("MSCE",), alone)
    contrasts += [
        Contrast(a=BASELINE, b=alone, title="MSCE", group=ALONE),
        Contrast(a=BASELINE, b=given.label, title="DMSCA", group=WHOLE),
    ]
    return list(candidates.values()), contrasts


def _sgfa(given: Candidate) -> tuple[list[Candidate], list[Contrast]]:
    options_of = {
        "sgfa_ca": ("reduction",),
        "scpa": ("reduction", "kernel_size"),
        "sgu": ("expansion", "kernel_size"),
    }
    parts = {}
    for name, options in options_of.items():
        kept = {key: value for key, value in given.options.items() if key in options}
        parts[name] = given.model_copy(update={"name": name, "options": kept})
    labels = {name: part.label for name, part in parts.items()} | {"sgfa": given.label}
    against_baseline = [
        Contrast(a=BASELINE, b=labels[name], title=title, group="against plain")
        for name, title in (("sgfa_ca", "+CA"), ("scpa", "+SCPA"), ("sgu", "+SGU"), ("sgfa", "SGFA"))
    ]
    return [Candidate(name=BASELINE), *parts.values(), given], [
        *against_baseline,
        Contrast(a=labels["sgu"], b=given.label, title="SCPA", group=LEFT_OUT),
        Contrast(a=labels["scpa"], b=given.label, title="SGU", group=LEFT_OUT),
    ]


ABLATIONS: dict[str, Callable[[Candidate], tuple[list[Candidate], list[Contrast]]]] = {
    "dmsca": _dmsca,
    "sgfa": _sgfa,
}


def _custom(given: Candidate) -> tuple[list[Candidate], list[Contrast]]:
    """Change each boolean option of a person's own class: one that is on is a part, which is left out."""
    values = {**option_defaults(given), **given.options}
    switches = {name: value for name, value in values.items() if isinstance(value, bool)}
    parts = {name: value for name, value in switches.items() if name not in given.options}
    if not parts:
        fixed = " that is not fixed" if switches else ""
        raise RequestError(
            f"{given.label} has no boolean option{fixed}, such as `spatial: bool = True`: ablate changes "
            "these, one at a time, to see what each part gains"
        )
    candidates, contrasts = [Candidate(name=BASELINE), given], []
    for name, is_on in parts.items():
        changed = given.model_copy(update={"options": given.options | {name: not is_on}})
        candidates.append(changed)
        with_it, without = (given, changed) if is_on else (changed, given)
        group = LEFT_OUT if is_on else ADDED
        contrasts.append(Contrast(a=without.label, b=with_it.label, title=name, group=group))
    contrasts.append(Contrast(a=BASELINE, b=given.label, title=given.label, group=WHOLE))
    return candidates, contrasts


def plan_ablation(given: Candidate) -> tuple[tuple[Candidate, ...], Design]:
    """Plan the ablation of `given`; its candidates keep the options of `given`.

    Raises:
        RequestError: the mechanism has no parts that can be removed, or its options already remove one.
    """
    if given.name not in ABLATIONS and not given.is_custom:
        raise RequestError(
            f"{given.name} has no parts that can be removed: ablate takes {', '.join(ABLATIONS)}, or a class "
            f"of your own with boolean options, such as {EXAMPLE}"
        )
    candidates, contrasts = ABLATIONS.get(given.name, _custom)(given)
    return tuple(candidates), Design(kind="ablate", subject=given.name, contrasts=tuple(contrasts))
