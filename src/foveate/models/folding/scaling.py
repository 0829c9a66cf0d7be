"""Scale the channels of what a layer gives, or of what it takes, by scaling its own tensors."""

import torch
from torch import Tensor, nn

from foveate.torch_private import buffers_of, parameters_of

__all__ = ["input_tensors", "output_tensors", "scale_input", "scale_output"]

AFFINE = ("weight", "bias")
"""The buffers that frozen norms have in place of parameters."""


def output_tensors(module: nn.Module, channels: int) -> list[Tensor]:
    """Return the tensors of `module` itself, not of its children, that have an entry for each output channel.

    Those of a convolution, a linear layer, a norm or a layer scale are its weight and its bias. Of another
    module they can be anything: whoever scales them must check what that did.
    """
    own: list[Tensor | None] = [*parameters_of(module).values()]
    own += [buffers_of(module)[name] for name in AFFINE if name in buffers_of(module)]
    return [one for one in own if one is not None and one.ndim and len(one) == channels]


def scale_output(module: nn.Module, factors: Tensor) -> None:
    """Multiply the channels of what `module` gives by `factors` (C,), computed in float64."""
    for tensor in output_tensors(module, len(factors)):
        _multiply(tensor, factors.view(-1, *[1] * (tensor.ndim - 1)))


def input_tensors(module: nn.Module, channels: int) -> list[Tensor]:
    """Return the tensors that `scale_input` changes; none where `module` cannot take factors of its input."""
    if isinstance(module, nn.BatchNorm2d) and module.num_features == channels:
        has_statistics = module.running_mean is not None and module.running_var is not None
        return [module.weight, module.bias] if module.affine and has_statistics else []
    if isinstance(module, nn.Conv2d) and module.in_channels == channels:
        return [module.weight]
    return [module.weight] if isinstance(module, nn.Linear) and module.in_features == channels else []


def scale_input(module: nn.Module, factors: Tensor) -> None:
    """Let `module` give for x what it gave for x with its channels multiplied by `factors` (C,).

    Of a batch norm in eval mode, with mean m, deviation s, weight w and bias b:
    (f x - m) / s · w + b = (x - m) / s · f w + (b + m (f - 1) / s · w).
    """
    if isinstance(module, nn.BatchNorm2d):
        assert module.running_mean is not None
        assert module.running_var is not None
        mean, variance = (_double(one) for one in (module.running_mean, module.running_var))
        weight, factors = _double(module.weight), _double(factors)
        _add(module.bias, mean * (factors - 1) / (variance + module.eps).sqrt() * weight)
        _multiply(module.weight, factors)
    elif isinstance(module, nn.Conv2d):
        by_group = factors.view(module.groups, 1, -1)
        by_output = by_group.expand(-1, module.out_channels // module.groups, -1).flatten(0, 1)
        _multiply(module.weight, by_output[:, :, None, None])
    elif isinstance(module, nn.Linear):
        _multiply(module.weight, factors)


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()  # MPS has no float64


@torch.no_grad()
def _multiply(tensor: Tensor, factors: Tensor) -> None:
    tensor.copy_(_double(tensor) * _double(factors))


@torch.no_grad()
def _add(tensor: Tensor, summand: Tensor) -> None:
    tensor.copy_(_double(tensor) + summand)
