"""The work that FLOP counters miss: element-wise operations, and the bytes that operators move."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import flop_registry

from foveate.torch_private import TorchDispatchMode, arguments_of, operator_of, storage_id, tree_leaves

__all__ = ["Work", "bytes_moved", "count_work"]

Keywords = dict[str, Any]
"""Keyword arguments of an operator, as torch's dispatch hands them on."""

# fmt: off
CREATIONS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
"""These reserve memory and write nothing."""
COPIES = {
    "_to_copy", "cat", "clone", "constant_pad_nd", "copy", "copy_", "embedding", "fill", "fill_", "flip",
    "full", "full_like", "gather", "index", "index_select", "new_full", "new_ones", "new_zeros", "ones",
    "ones_like", "reflection_pad2d", "repeat", "replication_pad2d", "roll", "scalar_tensor", "stack",
    "upsample_nearest2d", "zero_", "zeros", "zeros_like",
}
"""These move bytes and compute nothing."""
OVERWRITES = {"copy_", "fill_", "zero_"}
"""These write to an argument without reading it."""
# fmt: on


@dataclass(frozen=True)
class Work:
    """The counted work; `multiply_adds` are those of convolutions and matrix products."""

    multiply_adds: int
    element_wise: int
    bytes_moved: int


def count_work(step: Callable[[], object]) -> Work:
    """Count the work of `step`, operator by operator, as torch runs it without compiling.

    - An operator that is neither a convolution nor a matrix product counts one operation for each element
      that it writes, or reads if these are more, as in a reduction. Each of torch's operators counts once,
      whatever it computes: exp counts like +, as do softmax and batch norm. Copies count none.
    - Every operator moves the bytes of the tensors that it reads and of those that it writes. An expanded
      input counts with the elements that it has in memory; a tensor changed in place is read and written;
      views move nothing.

    Caches and fusion are not modelled: the figures are those of the equations as they are written. On the
    meta device counting needs no arithmetic and no memory. To count a forward pass alone, run the step under
    no_grad (not under inference_mode, which hides operators within others).
    """
    counter = _Counter()
    with counter:
        step()
    return Work(counter.flops // 2, counter.element_wise, counter.bytes_moved)


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.flops = self.element_wise = self.bytes_moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        operator = operator_of(func)
        read, written = _traffic(func, args, kwargs, out)
        if not written:
            return out
        self.bytes_moved += sum(_bytes(tensor) for tensor in [*read, *written])
        if operator in flop_registry:
            self.flops += flop_registry[operator](*args, **kwargs, out_val=out)
        elif operator.__name__ not in COPIES:
            self.element_wise += max(_elements(tensor) for tensor in [*read, *written])
        return out


def bytes_moved(func: Any, args: Any, kwargs: Keywords, out: Any) -> int:
    """Return the bytes of the tensors that one call of an operator read and wrote, as `count_work` counts."""
    read, written = _traffic(func, args, kwargs, out)
    return sum(_bytes(tensor) for tensor in [*read, *written]) if written else 0


def _traffic(func: Any, args: Any, kwargs: Keywords, out: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors that a call read and wrote; views and memory allocations write none."""
    name = operator_of(func).__name__
    changed, read = _arguments(func, name, args, kwargs)
    held = {storage_id(tensor) for tensor in [*changed, *read]}
    created = [tensor for tensor in _tensors(out) if storage_id(tensor) not in held]
    if name == "native_batch_norm" and not args[5]:
        created = created[:1]  # in eval the meta device returns statistics that no kernel writes
    return read, [] if name in CREATIONS else [*changed, *created]


def _arguments(func: Any, name: str, args: Any, kwargs: Keywords) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors that an operator changes, and those that it reads, each once."""
    changed: list[Tensor] = []
    read: list[Tensor] = []
    for index, argument in enumerate(arguments_of(func)):
        given = args[index] if index < len(args) else kwargs.get(argument.name)
        for tensor in _tensors(given):
            if argument.is_written:
                changed.append(tensor)
            if not (argument.is_written and (name in OVERWRITES or argument.is_keyword_only)):  # out=
                read.append(tensor)
    return _each_once(changed), _each_once(read)


def _tensors(values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _each_once(tensors: list[Tensor]) -> list[Tensor]:
    """Remove repeated tensors: x * x reads x once."""
    places = {(storage_id(t), t.storage_offset(), tuple(t.shape), t.stride()): t for t in tensors}
    return list(places.values())


def _elements(tensor: Tensor) -> int:
    """Return the number of elements that a tensor has in memory; an expanded dimension counts as one."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= min(size, 1) if stride == 0 else size
    return min(count, tensor.untyped_storage().nbytes() // tensor.element_size())


def _bytes(tensor: Tensor) -> int:
    return _elements(tensor) * tensor.element_size()
