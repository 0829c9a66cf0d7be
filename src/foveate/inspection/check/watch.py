"""Watch a forward pass operator by operator, and name the known mistakes in it with their file and line."""

import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

import foveate
from foveate.records.check import Cause
from foveate.torch_private import TorchDispatchMode, arguments_of, operator_of, storage_id, tree_leaves

__all__ = ["Mistake", "place_of", "watched"]

TORCH, HERE = (str(Path(str(package.__file__)).parent) for package in (torch, foveate))
PYTHON = sysconfig.get_paths()["stdlib"]
HALVES = (torch.float16, torch.bfloat16)
FULL = (torch.float32, torch.float64)

SOFTMAXES = {"_softmax", "_log_softmax", "_safe_softmax", "logsumexp"}
REDUCTIONS = {
    "amax",
    "amin",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "std",
    "std_mean",
    "sum",
    "var",
    "var_mean",
}
REDUCTIONS |= {"linalg_vector_norm", "median", "cumsum"}
BATCH_NORMS = {"native_batch_norm", "_native_batch_norm_legit", "_batch_norm_with_update", "cudnn_batch_norm"}
READS = {"item", "tolist", "__bool__", "__float__", "__int__", "__index__", "nonzero"}
CREATIONS = {"arange", "empty", "eye", "full", "linspace", "ones", "rand", "randn", "tensor", "zeros"}


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its cause, and file and line where it is known ("" otherwise)."""

    cause: Cause
    place: str


@dataclass
class Watched:
    """What a watched call did: its mistakes in their order, its result, and its error if it raised one."""

    mistakes: list[Mistake] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None

    def first(self, *causes: Cause) -> Mistake | None:
        """Return the first mistake of one of the causes, in the order of `causes`."""
        for cause in causes:
            for mistake in self.mistakes:
                if mistake.cause == cause:
                    return mistake
        return None


def watched(call: Callable[[], Any], x: Tensor | None = None) -> Watched:
    """Carry out `call`, a forward pass of `x` or a construction, and note the known mistakes in it."""
    seen = Watched()
    with _Functions(seen, x), _Operators(seen, x):
        try:
            seen.result = call()
        except Exception as error:
            seen.error = error
    return seen


def place_of(error: BaseException) -> str:
    """Return file and line where an error left the code of the module; "" if it was never in any."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if _is_of_the_module(name):
            place = f"{Path(name).name}:{line}"
    return place


def _is_of_the_module(file: str) -> bool:
    """Return whether a file is neither Python's own, nor torch's, nor foveate's."""
    is_pythons = file.startswith(PYTHON) and "site-packages" not in file
    return not (is_pythons or file.startswith((TORCH, HERE, "<")))


def _place() -> str:
    """Return file and line of the innermost frame that is of the module: neither torch's nor foveate's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if _is_of_the_module(name):
            return f"{Path(name).name}:{frame.f_lineno}"
        if name.startswith(HERE) and frame.f_code is watched.__code__:
            return ""
        frame = frame.f_back
    return ""


class _Functions(TorchFunctionMode):
    """Sees what never reaches an operator: calls of .cuda() and .numpy(), values that Python reads."""

    def __init__(self, seen: Watched, x: Tensor | None) -> None:
        super().__init__()
        self.seen = seen
        self.device = "" if x is None else x.device.type

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        cause = _cause_of_call(func, args, kwargs, self.device)
        if cause is not None:
            self.seen.mistakes.append(Mistake(cause, _place()))
        return func(*args, **kwargs)


def _cause_of_call(func: Any, args: Any, kwargs: Any, device: str) -> Cause | None:
    """Return the mistake in a call of torch, if any; `device` is the type of the input's device."""
    name = getattr(func, "__name__", "")
    devices = [value for value in (*args[1:], kwargs.get("device")) if isinstance(value, str | torch.device)]
    kinds = {str(value).partition(":")[0] for value in devices} & {"cpu", "cuda", "mps", "xpu", "meta"}
    if name == "cuda" or ("cuda" in kinds and (device != "cuda" or "cuda" in devices)):
        return "CUDA call inside"
    if name in ("numpy", "__array__"):
        return "numpy inside"
    if name in READS:
        return "values read inside"
    if name == "detach" or (name == "__get__" and getattr(func, "__self__", None) is Tensor.data):
        return "gradient cut by detach"
    if name in CREATIONS and not kinds and device not in ("", "cpu"):
        return "tensor on a fixed device"
    if name == "cpu" or (device and kinds - {device}):
        return "tensor on a fixed device"
    if name == "batch_norm" and _is_one_value(args, kwargs):
        return "BatchNorm of one value"
    if name in ("avg_pool2d", "max_pool2d"):
        return "pooling of a fixed size"
    return None


def _is_one_value(args: Any, kwargs: Any) -> bool:
    x = args[0] if args else kwargs.get("input")
    is_training = kwargs.get("training", args[5] if len(args) > 5 else False)
    return isinstance(x, Tensor) and x.ndim >= 2 and x.numel() == x.shape[1] and bool(is_training)


class _Operators(TorchDispatchMode):
    """Sees every operator with its resolved dimensions and dtypes."""

    def __init__(self, seen: Watched, x: Tensor | None) -> None:
        super().__init__()
        self.seen = seen
        self.batch = 0 if x is None or x.shape[0] == 1 else x.shape[0]
        self.dtype = None if x is None else x.dtype
        self.storage = None if x is None else storage_id(x)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for cause in self._causes(func, args, kwargs):
            self.seen.mistakes.append(Mistake(cause, _place()))
        return func(*args, **kwargs)

    def _causes(self, func: Any, args: Any, kwargs: Any) -> list[Cause]:
        name, x = operator_of(func).__name__, args[0] if args else None
        causes: list[Cause] = []
        if isinstance(x, Tensor) and self.batch and x.ndim > 1 and x.shape[0] == self.batch:
            if name in SOFTMAXES and args[1] in (0, -x.ndim):
                causes.append("softmax over the batch")
            if name in REDUCTIONS and 0 in _dimensions(func, x, args, kwargs):
                causes.append("statistic over the batch")
            if name in BATCH_NORMS and _named(func, args, kwargs, "training"):
                causes.append("statistic over the batch")
        dtypes = {leaf.dtype for leaf in tree_leaves(args) if isinstance(leaf, Tensor) and leaf.ndim}
        if self.dtype in HALVES and self.dtype in dtypes and dtypes & set(FULL) and name not in BATCH_NORMS:
            causes.append("tensor of a fixed dtype")
        if self.storage is not None and self._writes_input(func, args, kwargs):
            causes.append("input changed in place")
        if "rand" in name or "dropout" in name or "bernoulli" in name:
            causes.append("random numbers in eval")
        return causes

    def _writes_input(self, func: Any, args: Any, kwargs: Any) -> bool:
        for index, argument in enumerate(arguments_of(func)):
            given = args[index] if index < len(args) else kwargs.get(argument.name)
            if argument.is_written and isinstance(given, Tensor) and storage_id(given) == self.storage:
                return True
        return False


def _named(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    """Return the argument of an operator called `name`; None if it was not given."""
    for index, argument in enumerate(arguments_of(func)):
        if argument.name == name:
            return args[index] if index < len(args) else kwargs.get(name)
    return None


def _dimensions(func: Any, x: Tensor, args: Any, kwargs: Any) -> set[int]:
    """Return the dimensions that a reduction sums over; all of them where none is given."""
    given = _named(func, args, kwargs, "dim")
    if given is None or given == []:
        return set(range(x.ndim))
    several = given if isinstance(given, list | tuple) else [given]
    return {dim % x.ndim for dim in several}
