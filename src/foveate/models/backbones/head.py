"""The classifier head of a network, the layer that gives the logits: found, counted and replaced."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.models.sites.forward_pass import timm_config
from foveate.modes import evaluating

__all__ = [
    "Head",
    "declared_head",
    "declared_heads",
    "find_head",
    "last_layer",
    "replace_head",
    "timm_outputs",
    "width_of",
]

Head = nn.Linear | nn.Conv2d


def last_layer(network: nn.Module) -> tuple[str, Head] | None:
    """Return the last linear layer or convolution that is defined, and its path; torchvision's end in it."""
    layers = [(path, module) for path, module in network.named_modules() if isinstance(module, Head)]
    return layers[-1] if layers else None


def declared_head(network: nn.Module) -> str | None:
    """Return the path of the first of `declared_heads`."""
    return next(iter(declared_heads(network)), None)


def declared_heads(network: nn.Module) -> tuple[str, ...]:
    """Return the paths of the heads that timm declares, else that of the last layer that is defined.

    Networks that are distilled, or that have several branches, have a head for each.
    """
    declared = timm_config(network).get("classifier") or ()
    modules = dict(network.named_modules())
    known = [path for path in ((declared,) if isinstance(declared, str) else declared) if path in modules]
    last = last_layer(network)
    return tuple(known) or ((last[0],) if last else ())


def timm_outputs(network: Any) -> int | None:
    """Return the outputs of what timm calls the classifier of `network`; None where it has no such layer."""
    classifier = network.get_classifier() if hasattr(network, "get_classifier") else None
    return getattr(classifier, "out_features", None)


def width_of(head: Head) -> int:
    """Return the number of the outputs of `head`."""
    return head.out_features if isinstance(head, nn.Linear) else head.out_channels


def find_head(network: nn.Module, input_size: tuple[int, int, int]) -> tuple[str, Head]:
    """Return the layer that gives the logits, and its path, from a forward pass on images (C, H, W) of zeros.

    It is the last layer with weights to run, linear or a 1×1 convolution, with as many outputs as there are
    logits. `network` runs in evaluation mode, and each of its modules is put back into its own.

    Raises RequestError for a network that ends in anything else, which is named.
    """
    last: list[str] = []
    layers = {path: module for path, module in network.named_modules() if isinstance(module, Head)}

    def recorder(path: str) -> Callable[..., None]:
        return lambda *_: last.append(path)

    like = next(network.parameters(), torch.empty(0))
    images = torch.zeros(2, *input_size, dtype=like.dtype, device=like.device)
    with ExitStack() as undo:
        undo.enter_context(evaluating(network))
        undo.enter_context(torch.inference_mode())
        for path, module in layers.items():
            undo.callback(module.register_forward_hook(recorder(path)).remove)
        logits = network(images)
    name = type(network).__name__
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not last:
        raise RequestError(f"{name} has no linear layer at its end that gives one logit a class")
    head = layers[last[-1]]
    pointwise = isinstance(head, nn.Linear) or head.kernel_size == (1, 1)
    if width_of(head) != logits.shape[1] or not pointwise or last.count(last[-1]) > 1:
        raise RequestError(
            f"{name} ends with {last[-1]}, a {type(head).__name__} of {width_of(head)} outputs for "
            f"{logits.shape[1]} logits: its features cannot be told from its answers"
        )
    return last[-1], head


def replace_head(network: nn.Module, classes: int, input_size: tuple[int, int, int]) -> nn.Module:
    """Give `network`, for images of `input_size` (C, H, W), a new head of `classes` outputs; return it.

    The network is changed in place. The weights of the head are drawn from torch's global generator, as torch
    initialises a layer of its kind.

    Raises RequestError as `find_head` does.
    """
    path, head = find_head(network, input_size)
    bias = head.bias is not None
    if isinstance(head, nn.Linear):
        fresh: Head = nn.Linear(head.in_features, classes, bias=bias)
    else:
        fresh = nn.Conv2d(head.in_channels, classes, 1, bias=bias)
    like = next(network.parameters())
    network.set_submodule(path, fresh.to(like.device, like.dtype).train(head.training))
    if hasattr(network, "num_classes"):
        network.num_classes = classes  # type: ignore[assignment]
    return network
