"""What is recorded of compiled networks beside eager ones, the goals, and the figures in words."""

from typing import NamedTuple, TypedDict

from compiled_networks import EAGER, Contender
from price_goals import Ratios, change, reached
from price_networks import AGAIN, BASELINE, EQUATIONS, FOVEATE, CaseFields, printed

MOST = 12.0
"""The goal: what foveate adds to a compiled baseline in inference, in per cent, at most."""
JUDGED = ("dmsca", "cbam")


class Added(TypedDict):
    """Times in ms that come on top of others in the same round: their median and its 95 % interval."""

    median: float
    interval: tuple[float, float] | None


class Figures(TypedDict):
    """What was measured of a contender; `of_form` is the baseline in the contender's own form.

    `adds_more` is what foveate adds in ms in this form beyond what it adds to the eager network.
    """

    network: str
    form: str
    ms_p50: float
    over_plain: Ratios
    over_of_form: Ratios
    adds: Added
    adds_more: Added | None
    compile_seconds: float | None
    off: float | None
    gradients_off: float | None


class CompiledComparison(CaseFields):
    """A measured case: the fields of `price_networks.Case`, and the figures of each contender."""

    rounds: int
    contenders: list[Figures]


class Row(NamedTuple):
    """The networks of a comparison in one form; None if not measured."""

    form: str
    baseline: Figures | None
    equations: Figures | None
    foveate: Figures | None


def rows_of(found: CompiledComparison) -> list[Row]:
    """Return a row for each form of a comparison; the eager one comes first."""
    by = {Contender(one["network"], one["form"]): one for one in found["contenders"]}
    forms = dict.fromkeys(one["form"] for one in found["contenders"])
    return [
        Row(form, *(by.get(Contender(name, form)) for name in (BASELINE, EQUATIONS, FOVEATE)))
        for form in forms
    ]


def judge_compiled(found: CompiledComparison, row: Row) -> str:
    """Return whether foveate's network in a form reaches the goals; "" where it has none."""
    if found["mode"] != "inference" or found["mechanism"] not in JUDGED or row.foveate is None:
        return ""
    if row.form == EAGER or (found["backbone"], found["image_size"]) != ("resnet50", 224):
        return ""
    more = row.foveate["adds_more"]
    interval = more["interval"] if more else None
    low, high = interval or (-1.0, 1.0)
    said = "reached" if high <= 0 else "not reached" if low > 0 else "open"
    return f"at most +{MOST:g} %: {reached(row.foveate['over_of_form'], MOST)}; no more than eager: {said}"


def milliseconds(added: Added | None) -> str:
    """Write times that are added as their median and its interval; "" for None."""
    if added is None:
        return ""
    interval = f" [{', '.join(f'{bound:.2f}' for bound in added['interval'])}]" if added["interval"] else ""
    return f"{added['median']:+.2f} ms{interval}".replace("-", "−")


def compiled_in_lines(found: CompiledComparison) -> list[str]:
    """Return the figures of a comparison for a terminal, a line for each contender and form."""
    lines = []
    for one in found["contenders"]:
        name = f"{printed(one['network'])}, {one['form']}"
        said = f"{one['ms_p50']:9.2f} ms, over the eager baseline {change(one['over_plain'])}"
        if one["network"] not in (BASELINE, AGAIN):
            said += (
                f", over the baseline of its form {change(one['over_of_form'])}, {milliseconds(one['adds'])}"
            )
        if one["compile_seconds"] is not None:
            said += f"; compiled in {one['compile_seconds']:g} s, off by {one['off']:.0e}"
        lines.append(f"  {name:26} {said}")
    goals = ((row.form, judge_compiled(found, row)) for row in rows_of(found))
    return lines + [f"  goal, {form}: {said}" for form, said in goals if said]
