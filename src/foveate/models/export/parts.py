"""The parts of an ONNX graph that can be left in float32: stages and layers, by paths of modules."""

from typing import Any

import onnx

from foveate.models.export.scopes import scope_of

__all__ = ["layers_of", "stages_of"]

WEIGHED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with weights: what is quantised for its arithmetic."""
MOST_STAGES = 12
"""Parts are not divided further beyond this number."""

Parts = dict[str, list[str]]
"""The names of operators by the path of a module."""


def stages_of(content: bytes, besides: set[str]) -> Parts:
    """Return the operators of each stage of a graph, from the first to the last; `besides` are in none.

    Stages are the children of the network that have weights; one with more than half of all operators with
    weights is divided into its own children, as long as there are at most 12.
    """
    nodes = [node for node in onnx.load_from_string(content).graph.node if node.name not in besides]
    parts = _grouped(nodes, {"": 1})
    depths = {"": 1}
    while True:
        weights = {path: sum(node.op_type in WEIGHED for node in some) for path, some in parts.items()}
        largest = max(weights, key=lambda path: weights[path], default="")
        if not weights or 2 * weights[largest] <= sum(weights.values()):
            break
        divided = _grouped(nodes, depths | {largest: largest.count(".") + 2})
        if len(divided) == len(parts) or sum(map(_has_weights, divided.values())) > MOST_STAGES:
            break
        depths |= {largest: largest.count(".") + 2}
        parts = divided
    return {path: [node.name for node in some] for path, some in parts.items() if _has_weights(some)}


def layers_of(content: bytes, operators: list[str]) -> Parts:
    """Return those of `operators` that have weights, by the paths of their modules."""
    found: Parts = {}
    for node in onnx.load_from_string(content).graph.node:
        if node.name in operators and node.op_type in WEIGHED:
            found.setdefault(scope_of(node) or node.name, []).append(node.name)
    return found


def _grouped(nodes: list[Any], depths: dict[str, int]) -> dict[str, list[Any]]:
    """Group operators by the first names of their modules' paths; `depths` says how many, by a beginning."""
    groups: dict[str, list[Any]] = {}
    for node in nodes:
        names = scope_of(node).split(".")
        fitting = [path for path in depths if path == "" or names[: path.count(".") + 1] == path.split(".")]
        depth = max(depths[path] for path in fitting)
        groups.setdefault(".".join(names[:depth]), []).append(node)
    return groups


def _has_weights(nodes: list[Any]) -> bool:
    return any(node.op_type in WEIGHED for node in nodes)
