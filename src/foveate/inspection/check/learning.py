"""Promises on training: gradients of parameters and input, identity start, activation checkpointing."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from foveate.inspection.check.subject import (
    Broken,
    NotApplicable,
    Outcome,
    Subject,
    seeded,
    short,
    written_input,
)
from foveate.inspection.check.watch import Mistake
from foveate.models.sites.gate import IdentityGate

__all__ = [
    "checkpoint_fault",
    "checkpointing",
    "gradcheck",
    "gradcheck_fault",
    "gradients",
    "gradients_of",
    "identity",
]

STEP, DIRECTIONS = 1e-6, (1, 2)
SEEDS, STEPS, RATE = 4, 3, 1e-2
"""A parameter that gets no gradient in so many steps from so many starts gets none at all."""


def gradients_of(y: Tensor, x: Tensor, module: nn.Module) -> list[Tensor]:
    """Return the gradients of the mean square of y by x and by all parameters."""
    inputs = [x, *module.parameters()]
    return list(torch.autograd.grad(y.square().mean(), inputs, allow_unused=True, materialize_grads=True))


def gradients(subject: Subject) -> Outcome:
    """Every parameter that may change gets a finite gradient that is not always 0.

    A few steps are allowed: what a zero multiplies at the start learns from the second step on.
    """
    idle = {key for key, parameter in subject.build().named_parameters() if parameter.requires_grad}
    if not idle:
        return NotApplicable("it has no parameters")
    unused = set(idle)
    size = next((size for size in subject.sizes if size[0] * size[1] >= 6), subject.sizes[-1])
    x = subject.map(4, size)
    for seed in range(SEEDS):
        module = subject.build(training=True, seed=seed)
        optimizer = torch.optim.SGD(module.parameters(), RATE)
        for step in range(STEPS):
            optimizer.zero_grad()
            x, weights = (subject.map(4, size, seed=2 * (seed * STEPS + step) + part) for part in (0, 1))
            y = module(x)
            if y.requires_grad:
                (y * weights).sum().backward()
            for key, parameter in module.named_parameters():
                if parameter.grad is None:
                    continue
                if not parameter.grad.isfinite().all():
                    return subject.broken(x, f"the gradient of {key} is not finite", training=True)
                unused.discard(key)
                if parameter.grad.any():
                    idle.discard(key)
            if not idle:
                return None
            optimizer.step()
    key = min(idle, key=lambda key: (key not in unused, key))
    others = f" (and {len(idle) - 1} more)" * (len(idle) > 1)
    found = (
        f"{key}{others} gets no gradient" if key in unused else f"the gradient of {key}{others} is always 0"
    )
    mistake = subject.mistake(x, "numpy inside", "gradient cut by detach", training=True)
    given = written_input(x, training=True)
    return Broken(given, found, mistake or Mistake("parameter without a gradient", ""))


def gradcheck_fault(module: nn.Module, x: Tensor) -> str:
    """Return which gradient of a float64 `module` differs from finite differences: "" if none does.

    The gradient by x and by each parameter is projected on a random direction, as torch's gradcheck does in
    its fast mode. That one, where it fails, goes on to compute the whole Jacobian, which takes minutes.
    """
    inputs = {"x": x} | {key: value for key, value in module.named_parameters() if value.requires_grad}
    leaves = {key: value.detach().clone().requires_grad_() for key, value in inputs.items()}

    def run(values: dict[str, Tensor]) -> Tensor:
        named = {key: value for key, value in values.items() if key != "x"}
        y: Tensor = functional_call(module, named, values["x"].clone())
        return y

    y = run(leaves)
    weights = _normal(y, 0)
    gradients = torch.autograd.grad(
        (y * weights).sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    for (key, value), gradient in zip(leaves.items(), gradients, strict=True):
        faults = []
        for seed in DIRECTIONS:  # at a kink of a ReLU or a maximum a single direction may miss
            direction = _normal(value, seed)
            direction = direction / direction.norm()
            with torch.no_grad():
                above, below = (run(leaves | {key: value + sign * STEP * direction}) for sign in (1, -1))
            expected = ((above - below) * weights).sum().item() / (2 * STEP)
            found = (gradient * direction).sum().item()
            if not abs(found - expected) <= 1e-5 + 1e-3 * abs(expected):
                faults.append(
                    f"the gradient by {key} is {found:.4g} along a line, the differences {expected:.4g}"
                )
        if len(faults) == len(DIRECTIONS):
            return faults[0]
    return ""


def _normal(like: Tensor, seed: int) -> Tensor:
    values = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(like.device, like.dtype)


def gradcheck(subject: Subject) -> Outcome:
    """Gradients of input and parameters agree with finite differences in float64, in eval and training."""
    if subject.precise != torch.float64:
        return NotApplicable("it does not run in float64, which finite differences need")
    size = next((size for size in subject.sizes if size[0] * size[1] >= 6), subject.sizes[-1])
    for training in (False,) if subject.draws else (False, True):
        x = subject.map(2, size, torch.float64)
        module = subject.build(training=training, dtype=torch.float64)
        try:
            fault = gradcheck_fault(module, x)
        except Exception as error:
            fault = short(error)
        if fault:
            return subject.broken(x, fault, "numpy inside", "gradient cut by detach", training=training)
    return None


def identity(subject: Subject) -> Outcome:
    """Behind `identity_init` the output is x bit for bit; then the gate learns, and after it the module."""
    x = subject.map(2, subject.ordinary_size)
    for training in (False, True):
        gated = IdentityGate(subject.build(training=training)).to(subject.device).train(training)
        if not torch.equal(gated(x.clone()), x):
            return subject.broken(
                x, "the output at the start is not x", "input changed in place", training=training
            )
    gated = IdentityGate(subject.build(training=True)).to(subject.device).train()
    (gated(x) * subject.map(2, subject.ordinary_size, seed=1)).sum().backward()
    if gated.gate.grad is None or not gated.gate.grad.any():
        if torch.equal(subject.build(training=True)(x.clone()), x):
            return NotApplicable("its own output is x at the start: attach it without identity_init")
        return subject.broken(x, "the gate gets no gradient", training=True)
    with torch.no_grad():
        gated.gate.fill_(0.1)
    gated.zero_grad()
    (gated(x) * subject.map(2, subject.ordinary_size, seed=1)).sum().backward()
    learned = [parameter.grad is not None for parameter in gated.mechanism.parameters()]
    if learned and not any(learned):
        found = "no parameter learns once the gate is open"
        return subject.broken(x, found, "numpy inside", "gradient cut by detach", training=True)
    return None


def checkpoint_fault(module: nn.Module, x: Tensor, other: nn.Module | None = None) -> str:
    """Return how output and gradients differ under activation checkpointing: "" if they do not.

    `other` is the equal module that is checkpointed, by default a copy.
    """
    other = copy.deepcopy(module) if other is None else other
    try:
        with seeded(0):
            y = checkpoint(other, x.clone(), use_reentrant=False)
            kept = gradients_of(y, x, other)
        with seeded(0):
            expected = module(x.clone())
        assert_close(y, expected)
        assert_close(kept, gradients_of(expected, x, module))
    except Exception as error:
        return short(error)
    return ""


def checkpointing(subject: Subject) -> Outcome:
    """Activation checkpointing, which runs the forward a second time, gives the same gradients."""
    for size in subject.sizes:
        x = subject.map(2, size).requires_grad_()
        module, other = (subject.build(training=True) for _ in range(2))
        if fault := checkpoint_fault(module, x, other):
            return subject.broken(x, fault, "input changed in place", "numpy inside", training=True)
    return None
