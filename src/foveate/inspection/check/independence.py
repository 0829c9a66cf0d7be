"""Promises on what a forward pass depends on and changes: other images, chance, its input, numpy."""

import itertools
from functools import partial

import torch
from torch import Tensor, nn

from foveate.inspection.check.subject import Broken, Outcome, Subject, written_input
from foveate.inspection.check.watch import watched
from foveate.records.check import Cause
from foveate.torch_private import version_of

__all__ = ["batch_independent", "deterministic", "in_torch", "independence_fault", "input_unchanged"]


MANY = 11
"""A size of the batch that no other dimension of a small map has."""


def independence_fault(module: nn.Module, x: Tensor) -> str:
    """Return how the output for the second of three images changes with the other two: "" if it does not."""
    alone, tolerance = module(x[1:2].clone()), 1e-4 if x.dtype == torch.float32 else 1e-7
    for others in (100 * x.flip(0), torch.full_like(x, torch.nan)):
        mixed = others.index_copy(0, torch.tensor([1], device=x.device), x[1:2])
        change = (module(mixed)[1:2] - alone).abs().max().item()
        if not change <= tolerance * max(1.0, alone.abs().max().item()):
            return f"the output for an image changes by {change:.3g} where other images of its batch change"
    return ""


def batch_independent(subject: Subject) -> Outcome:
    """The output for an image does not depend on the other images of its batch, in eval."""
    for size in subject.sizes:
        x = subject.map(3, size, subject.precise)
        if fault := independence_fault(subject.build(dtype=subject.precise), x):
            # More images: where a dimension of 3 is reduced, it need not be the batch.
            causes: tuple[Cause, ...] = ("softmax over the batch", "statistic over the batch")
            mistake = subject.mistake(subject.map(MANY, size, subject.precise), *causes)
            return Broken(written_input(x, training=False), fault, mistake)
    return None


def deterministic(subject: Subject) -> Outcome:
    """The same input gives the same output each time, in eval."""
    for size in subject.sizes:
        module, x = subject.build(), subject.map(2, size)
        first, *others = (module(x.clone()) for _ in range(3))
        change = max((other - first).abs().max().item() for other in others)
        if change:
            found = f"the output for the same input changes by {change:.3g} from call to call"
            return subject.broken(x, found, "random numbers in eval")
    return None


def input_unchanged(subject: Subject) -> Outcome:
    """The forward writes nothing into its input, which the network may use again (a residual sum)."""
    for size, training in itertools.product(subject.sizes, (False, True)):
        x = subject.map(2, size)
        before, version = x.clone(), version_of(x)
        subject.build(training=training)(x)
        if version_of(x) != version or not torch.equal(x, before):
            change = (x - before).abs().max().item()
            found = f"the input was written to: its values changed by up to {change:.3g}"
            return subject.broken(before, found, "input changed in place", training=training)
    return None


def in_torch(subject: Subject) -> Outcome:
    """No values pass through numpy, where gradients, compilers and exporters cannot follow."""
    x = subject.map(2, subject.sizes[0])
    for training in (False, True):
        mistake = watched(partial(subject.build(training=training), x), x).first("numpy inside")
        if mistake is not None:
            found = "values pass through numpy, where no gradient, compiler or exporter can follow"
            return Broken(written_input(x, training=training), found, mistake)
    return None
