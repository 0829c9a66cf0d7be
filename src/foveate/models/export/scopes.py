"""Which operators of an ONNX graph come from which module of the network that was exported."""

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from foveate.errors import WorkError
from foveate.models.sites.attach import attached
from foveate.models.sites.own import own_attention

__all__ = ["gate_operators", "gate_paths", "operators_within", "scope_of"]

SCOPES = "pkg.torch.onnx.name_scopes"
"""The metadata by which torch's exporter says in which module an operator was called: a list of paths, from
the network, "", to the module, and at last the operator's own name."""


def scope_of(node: Any) -> str:
    """Return the path of the module that called `node` of an ONNX graph; "" is the network, or unknown."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            scopes = ast.literal_eval(entry.value)
            return str(scopes[-2]) if len(scopes) > 1 else ""
    return ""


def operators_within(proto: Any, paths: Iterable[str]) -> dict[str, list[str]]:
    """Return by path of a module the names of the operators that it and its children called."""
    found: dict[str, list[str]] = {path: [] for path in paths}
    for node in proto.graph.node:
        scope = scope_of(node)
        for path, names in found.items():
            if scope == path or scope.startswith(f"{path}."):
                names.append(node.name)
    return found


def gate_paths(network: nn.Module) -> list[str]:
    """Return the paths of all attention in `network`: what `attach` put in, and what it has of its own."""
    return [*attached(network), *(one.path for one in own_attention(network))]


def gate_operators(proto: Any, paths: Sequence[str], what: str, *, required: bool = True) -> list[str]:
    """Return the names of the operators of the attention at `paths`.

    Raises:
        WorkError: they are `required`, and the graph has no operator of a path, so that it could not
            be kept in float32.
    """
    found = operators_within(proto, paths)
    missing = [path for path, names in found.items() if not names]
    if missing and required:
        raise WorkError(
            f"{what}: the graph does not say which of its operators are those of {missing[0]}, and the gates "
            "stay in float32. Quantise them too, or write fp16"
        )
    return list(dict.fromkeys(name for names in found.values() for name in names))
