"""Promises on the map itself: shape, dtype, device, memory format, sizes from 1×1 up, a batch of one."""

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from foveate.inspection.check.subject import (
    Broken,
    NotApplicable,
    Outcome,
    Subject,
    seeded,
    short,
    written_input,
)
from foveate.inspection.check.watch import Mistake, watched

__all__ = [
    "batch_of_one",
    "channels_last",
    "device",
    "dtype",
    "map_fault",
    "memory_format",
    "odd_maps",
    "plain_tensors",
    "shape",
]

ORDINARY = ((2, 2), (4, 4), (8, 8), (14, 14), (16, 16), (32, 32), (56, 56))
ODD = ((1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (3, 5), (7, 7), (9, 4))
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
MODES = (False, True)


def map_fault(module: nn.Module, x: Tensor, *, memory_format: torch.memory_format | None = None) -> str:
    """Return what is wrong with the output of `module` on x: "" if nothing is.

    Its shape, dtype and device must be those of x, and its memory format, if one is given. It must be finite.
    """
    try:
        y = module(x)
    except Exception as error:
        return short(error)
    if not isinstance(y, Tensor):
        return f"the output is a {type(y).__name__}, expected a map"
    if y.shape != x.shape:
        return f"the output has shape {tuple(y.shape)}"
    if y.dtype != x.dtype:
        return f"the output is {_name(y.dtype)}"
    if y.device != x.device:
        return f"the output is on {y.device}"
    if not y.isfinite().all():
        return f"the output has {int((~y.isfinite()).sum())} of {y.numel()} values that are not finite"
    if memory_format is not None and not y.is_contiguous(memory_format=memory_format):
        return f"the output is not {_name(memory_format)}: its strides are {y.stride()}"
    return ""


def shape(subject: Subject) -> Outcome:
    """Maps of ordinary sizes keep their shape, in eval and in training."""
    return _sizes(subject, ORDINARY)


def odd_maps(subject: Subject) -> Outcome:
    """Maps of 1×1, of odd sizes, and of one row or column keep their shape."""
    return _sizes(subject, ODD)


def _sizes(subject: Subject, sizes: Iterable[tuple[int, int]]) -> Outcome:
    for size, training in itertools.product(sizes, MODES):
        x = subject.map(2, size)
        fault = map_fault(subject.build(training=training), x)
        if fault and not fault.startswith("the output is float"):
            only = ", ".join(f"{height}×{width}" for height, width in subject.sizes)
            known = only and not subject.takes_any_size
            note = f"of the sizes tried it takes {only} alone" if known else ""
            return subject.broken(
                x,
                fault,
                "CUDA call inside",
                "pooling of a fixed size",
                "BatchNorm of one value",
                training=training,
                note=note,
            )
    return None


def batch_of_one(subject: Subject) -> Outcome:
    """One image is enough to train on, whatever the size of its map."""
    for size in subject.sizes:
        x = subject.map(1, size)
        try:
            subject.build(training=True)(x.requires_grad_().clone()).square().sum().backward()
        except Exception as error:
            return subject.broken(x, error, "BatchNorm of one value", training=True)
    return None


def dtype(subject: Subject) -> Outcome:
    """The output has the dtype of module and input: float64, float32, bfloat16 and float16."""
    for kind, size, training in itertools.product(DTYPES, subject.sizes, MODES):
        x = subject.map(2, size, kind)
        fault = map_fault(subject.build(training=training, dtype=kind), x)
        if fault:
            return subject.broken(x, fault, "tensor of a fixed dtype", "numpy inside", training=training)
    return None


def device(subject: Subject) -> Outcome:
    """Nothing inside names a device; found on torch's meta device, so that it needs no GPU."""
    x = subject.map(2, subject.ordinary_size if subject.sizes else (7, 7))
    given = written_input(x, training=False, note="on the meta device")
    made = watched(subject.build)
    if made.error is not None:
        return Broken("constructing it", short(made.error), made.first("CUDA call inside"))
    x, module = x.to("meta"), made.result.to("meta")
    seen = watched(lambda: module(x), x)
    mistake = made.first("CUDA call inside") or seen.first("CUDA call inside")
    if mistake is not None:
        return Broken(given, "it moves a tensor to a GPU, whichever device its input is on", mistake)
    if seen.error is None:
        is_kept = not isinstance(seen.result, Tensor) or seen.result.device == x.device
        return None if is_kept else Broken(given, f"the output is on {seen.result.device}")
    if seen.first("numpy inside", "values read inside") or not subject.sizes:
        return NotApplicable("its forward reads values, which only a real device has")
    plain = plain_tensors(module)
    found = f"; {plain[0]} is neither a parameter nor a buffer, so .to() leaves it behind" if plain else ""
    mistake = Mistake("tensor on a fixed device", "") if plain else seen.first("tensor on a fixed device")
    return Broken(given, f"{short(seen.error)}{found}", mistake)


def plain_tensors(module: nn.Module) -> list[str]:
    """Return the names of tensors that a module holds as plain attributes, which .to() does not move."""
    return [
        f"{path}.{name}" if path else name
        for path, part in module.named_modules()
        for name, value in vars(part).items()
        if isinstance(value, Tensor)
    ]


def memory_format(subject: Subject) -> Outcome:
    """A contiguous map gives a contiguous one, and a channels_last map a channels_last one."""
    formats = (torch.contiguous_format, torch.channels_last)
    for kind, size, training in itertools.product(formats, subject.sizes, MODES):
        x = subject.map(2, size).to(memory_format=kind)
        module = subject.build(training=training).to(memory_format=kind)
        if fault := map_fault(module, x, memory_format=kind):
            return subject.broken(x, fault, training=training, note=_name(kind))
    return None


def channels_last(subject: Subject) -> Outcome:
    """A channels_last map gives the values that the contiguous one gives."""
    for size, training in itertools.product(subject.sizes, MODES):
        x, last = subject.map(2, size), torch.channels_last
        module, other = (subject.build(training=training) for _ in range(2))
        try:
            with seeded(0):
                expected = module(x.clone())
            with seeded(0):
                y = other.to(memory_format=last)(x.to(memory_format=last))
            assert_close(y, expected)
        except Exception as error:
            return subject.broken(x, error, training=training, note="channels_last")
    return None


def _name(kind: torch.dtype | torch.memory_format) -> str:
    return str(kind).removeprefix("torch.").removesuffix("_format")
