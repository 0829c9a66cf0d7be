"""Promises on copies: deepcopy (EMA), pickle (other processes), and the state dict (weights files)."""

import copy
import pickle
from collections.abc import Callable

import torch
from torch import Tensor, nn

from foveate.inspection.check.subject import Outcome, Subject, short

__all__ = ["copy_fault", "deepcopy", "pickled", "state_dict"]


def copy_fault(module: nn.Module, x: Tensor, duplicate: Callable[[nn.Module], nn.Module]) -> str:
    """Return how a duplicate of the trained `module` differs from it in eval: "" if it does not."""
    expected = module.eval()(x.clone())
    try:
        y = duplicate(module).eval()(x.clone())
    except Exception as error:
        return short(error)
    if torch.equal(y, expected):
        return ""
    return f"the output of the copy differs by {(y - expected).abs().max().item():.3g}"


def deepcopy(subject: Subject) -> Outcome:
    """copy.deepcopy, which EMA and foveate use, gives the same output."""
    return _copies(subject, copy.deepcopy)


def pickled(subject: Subject) -> Outcome:
    """A pickled module, which torch.save and spawned processes use, gives the same output."""
    return _copies(subject, lambda module: pickle.loads(pickle.dumps(module)))


def state_dict(subject: Subject) -> Outcome:
    """The state dict, loaded into another instance, gives the same output: nothing learned lies elsewhere."""

    def duplicate(module: nn.Module) -> nn.Module:
        other = subject.build(seed=1)
        other.load_state_dict(pickle.loads(pickle.dumps(module.state_dict())))
        return other

    return _copies(subject, duplicate)


def _copies(subject: Subject, duplicate: Callable[[nn.Module], nn.Module]) -> Outcome:
    for size in subject.sizes:
        module, x = subject.build(training=True), subject.map(2, size)
        module(x.clone())  # moves running statistics
        if fault := copy_fault(module, x, duplicate):
            return subject.broken(x, fault)
    return None
