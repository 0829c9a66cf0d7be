"""The mechanisms there are: paper, place, options, and what each adds to a ResNet-50, counted at call."""

import inspect
from typing import Any

import timm
import torch
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from foveate.attention import MECHANISMS, Mechanism, list_attention
from foveate.evaluation.cost import count_multiply_adds, count_parameters
from foveate.models import attach, detach
from foveate.notation import listing, magnitude, signed_percent

__all__ = ["catalogue", "catalogue_table"]

BACKBONE, IMAGE_SIZE = "resnet50", 224


def catalogue() -> dict[str, Any]:
    """Describe every mechanism, sorted by name, as JSON can say it.

    Costs are those of the mechanism with its default options at its default place in a ResNet-50 with 1000
    classes, for one image of 224×224: built and run without memory for its numbers, on the meta device.
    Multiply-adds are of convolutions and matrix products; element-wise work is in none of the figures.
    """
    with torch.device("meta"):
        network = timm.create_model(BACKBONE).eval()
        plain = _cost(network)
        rows = []
        for name in list_attention():
            cost = _cost(attach(network, name))
            detach(network)
            rows.append(_describe(name, MECHANISMS[name]) | _added(cost, plain))
    return {
        "backbone": BACKBONE,
        "image_size": IMAGE_SIZE,
        **plain,
        "mechanisms": rows,
    }


def _cost(network: torch.nn.Module) -> dict[str, int]:
    return {
        "parameters": count_parameters(network),
        "macs": count_multiply_adds(network, (1, 3, IMAGE_SIZE, IMAGE_SIZE)),
    }


def _describe(name: str, mechanism: Mechanism) -> dict[str, Any]:
    parameters = inspect.signature(mechanism.module).parameters.values()
    return {
        "name": name,
        "paper": mechanism.paper,
        "where": mechanism.where,
        "stages": list(mechanism.stages) if mechanism.stages else None,  # counted from 1; None: all
        "options": {option.name: option.default for option in parameters if option.name != "channels"},
    }


def _added(cost: dict[str, int], plain: dict[str, int]) -> dict[str, float]:
    added: dict[str, float] = {}
    for key, value in cost.items():
        added[f"{key}_added"] = value - plain[key]
        added[f"{key}_increase_percent"] = 100 * (value - plain[key]) / plain[key]
    return added


def catalogue_table(described: dict[str, Any]) -> Group:
    """Lay a catalogue out for a terminal of 100 columns, to be printed with rich: mechanisms, then papers."""
    table = _table("mechanism", "place")
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("multiply-adds", justify="right", no_wrap=True)
    table.add_column("options")
    for row in described["mechanisms"]:
        table.add_row(
            row["name"],
            _place(row),
            _increase(row["parameters_added"], row["parameters_increase_percent"]),
            _increase(row["macs_added"], row["macs_increase_percent"]),
            Text(", ".join(f"{name}={value}" for name, value in row["options"].items())),
        )
    papers: dict[str, list[str]] = {}
    for row in described["mechanisms"]:
        papers.setdefault(row["paper"], []).append(row["name"])
    sources = _table("paper", "mechanism")
    for paper, names in sorted(papers.items()):
        sources.add_row(Text(paper), listing(names))
    size = described["image_size"]
    head = (
        f"What each adds to a {described['backbone']} of {magnitude(described['parameters'])} parameters and "
        f"{magnitude(described['macs'])} multiply-adds at {size}×{size} pixels, at its default place:"
    )
    return Group(Text(head), Padding(table, (1, 0)), sources)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, no_wrap=True)
    return table


def _increase(added: int, percent: float) -> str:
    """Write what is added and its share under one another: 9 columns for the share."""
    share = "" if not added else "< 0.01 %" if percent < 0.005 else signed_percent(percent)
    return f"{magnitude(added)} {share:>9}"


def _place(row: dict[str, Any]) -> str:
    """Write where a mechanism goes: "block", "stage 4", "stages 1–3", "stages 2 and 4"."""
    stages = row["stages"]
    if stages is None:
        return str(row["where"])
    several = len(stages) > 1
    run = several and stages == list(range(stages[0], stages[-1] + 1))
    numbers = f"{stages[0]}–{stages[-1]}" if run else listing([str(stage) for stage in stages])
    prefix = "" if row["where"] == "stage" else "block, "
    return f"{prefix}stage{'s' * several} {numbers}"
