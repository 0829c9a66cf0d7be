"""The goals of the benchmarks, whether a comparison reaches them, and its figures in words."""

from typing import Any, NotRequired, TypedDict

from price_networks import AGAIN, EQUATIONS, FOVEATE, TIMM, CaseFields, printed

LATENCY_GOALS = {
    ("dmsca", "inference"): 10.84,  # the article's figure
    ("dmsca", "training"): 25.0,
    ("sgfa", "inference"): 20.0,  # the increase of its multiply-adds
}
MEMORY_GOAL = 15.0  # of DMSCA's training step
FIRST_STEPS = {("dmsca", "float32", 1): 25.0, ("dmsca", "float32", 8): 20.0}  # on a CPU


class Ratios(TypedDict):
    """The ratios of two times within rounds: their median, its 95 % interval, and their quartiles."""

    ratio: float
    quartiles: tuple[float, float]
    interval: tuple[float, float] | None


class PathUse(TypedDict):
    """The kernel path of a part of a mechanism at some sites, and why it was chosen."""

    part: str
    path: str
    reason: str
    sites: int


class Comparison(CaseFields):
    """A measured case: the fields of `price_networks.Case`, and its figures by contender."""

    rounds: int
    steps_per_time: int
    ms_p50: dict[str, float]
    over_plain: dict[str, Ratios | None]
    over_equations: Ratios
    over_timm: Ratios | None
    peak_memory_over_plain: dict[str, float] | None
    paths: list[PathUse]
    compiled: NotRequired[dict[str, Any]]


def judge(found: Comparison) -> tuple[str, str]:
    """Return the goal of a comparison in words and whether it was reached; empty if it has no goal."""
    if has_price(found):
        goal = _latency_goal(found)
        return ("", "") if goal is None else (f"at most +{goal:g} %", _reached_price(found, goal))
    over = {"timm's": found["over_timm"], "its equations": found["over_equations"]}
    said = [f"{name}: {reached(ratios, 0.0)}" for name, ratios in over.items() if ratios]
    return "never slower", "; ".join(said)


def judge_memory(found: Comparison) -> tuple[str, str]:
    """Do the same as `judge` for the peak memory of a training step."""
    if not has_price(found) or _latency_goal(found) is None or found["mode"] != "training":
        return "", ""
    added = 100 * (found["peak_memory_over_plain"][FOVEATE] - 1)
    return f"at most +{MEMORY_GOAL:g} %", "reached" if added <= MEMORY_GOAL else "not reached"


def has_price(found: Comparison) -> bool:
    """Return whether the goal is a latency over the baseline; otherwise it is to be no slower than timm's."""
    return any(mechanism == found["mechanism"] for mechanism, _ in LATENCY_GOALS)


def _latency_goal(found: Comparison) -> float | None:
    """Return the latency goal in per cent; None if the network has none."""
    network = "convnext_tiny" if found["mechanism"] == "sgfa" else "resnet50"
    if (found["backbone"], found["image_size"]) != (network, 224):
        return None
    return LATENCY_GOALS.get((found["mechanism"], found["mode"]))


def _reached_price(found: Comparison, goal: float) -> str:
    ratios = found["over_plain"][FOVEATE]
    said = reached(ratios, goal)
    first = FIRST_STEPS.get((found["mechanism"], found["dtype"], found["batch_size"]))
    if first is None or said == "reached":
        return said
    return f"{said}; a first step, under +{first:g} %: {reached(ratios, first)}"


def reached(ratios: Ratios, goal: float) -> str:
    """Return whether a ratio is at most `goal` per cent over 1: reached, not reached or open."""
    if ratios["interval"] is None:
        return "open: too few rounds"
    low, high = (100 * (bound - 1) for bound in ratios["interval"])
    return "reached" if high <= goal else "not reached" if low > goal else "open: the goal is in the interval"


def in_a_line(found: Comparison) -> str:
    """Return the figures of a comparison for a terminal."""
    over = [
        f"{printed(name)} {change(found['over_plain'][name])}" for name in (FOVEATE, EQUATIONS, TIMM, AGAIN)
    ]
    said = ["over the baseline: " + ", ".join(part for part in over if not part.endswith(" "))]
    bases = [name for name in (TIMM, EQUATIONS) if found[f"over_{name}"]]
    said += [f"foveate over {name}: {change(found[f'over_{name}'])}" for name in bases]
    if memory := found["peak_memory_over_plain"]:
        said.append(
            "peak memory over the baseline: "
            + ", ".join(f"{name} {percent(memory[name])}" for name in memory)
        )
    goal, reached = judge(found)
    return "\n  ".join([*said, *([f"goal: {goal}. {reached}"] if goal else [])])


def change(over: Ratios | None) -> str:
    """Write ratios as their median, its interval and the quartiles, in per cent; "" for None."""
    if over is None:
        return ""
    low, high = (_number(bound) for bound in over["quartiles"])
    interval = f" [{', '.join(map(_number, over['interval']))}]" if over["interval"] else ""
    return f"{percent(over['ratio'])}{interval} ({low} … {high})"


def percent(ratio: float) -> str:
    """Write a ratio as an increase in per cent."""
    return f"{'+' * (ratio >= 1)}{_number(ratio)} %"


def _number(ratio: float) -> str:
    return f"{100 * (ratio - 1):.1f}".replace("-", "−")
