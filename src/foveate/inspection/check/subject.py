"""The module under check: how it is built, which maps it takes, and the outcome of one promise."""

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foveate.attention import create_attention
from foveate.errors import first_line
from foveate.inspection.check.watch import Mistake, place_of, watched
from foveate.models.sites.attach import with_tuples
from foveate.records.check import Cause

__all__ = [
    "Broken",
    "Factory",
    "NotApplicable",
    "Outcome",
    "Subject",
    "factory_of",
    "seeded",
    "short",
    "written_input",
]

CPU = torch.device("cpu")
Factory = Callable[[int], nn.Module]
"""Builds the module for maps of so many channels."""

# fmt: off
SIZES = (
    (1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (4, 4), (5, 7), (6, 5),
    (7, 7), (8, 8), (14, 14), (16, 16), (28, 28), (32, 32), (56, 56),
)
# fmt: on
"""Heights and widths that are tried, from small to large: the first that breaks a promise is the smallest."""
ENOUGH = 8
"""So many sizes that a module takes are enough; larger ones are tried where it takes fewer."""
LONGEST = 150


@dataclass(frozen=True)
class Broken:
    """A broken promise: the smallest input that breaks it, what came out, and the cause if it is known."""

    given: str
    found: str
    mistake: Mistake | None = None


@dataclass(frozen=True)
class NotApplicable:
    """A promise that means nothing for the module, or cannot be checked."""

    why: str


Outcome = Broken | NotApplicable | None
"""None is a promise that was kept."""


def factory_of(name: str, **options: Any) -> Factory:
    """Return the factory of a mechanism by its name; another process can rebuild it from the pickled one."""
    return functools.partial(create_attention, name, **with_tuples(options))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from generators with `seed` within the block, and leave the global ones as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def written_input(x: Tensor, *, training: bool, note: str = "") -> str:
    """Write an input as a person reads it: "(1, 64, 1, 1) float16 in training"."""
    dtype = str(x.dtype).removeprefix("torch.")
    text = f"{tuple(x.shape)} {dtype} in {'training' if training else 'eval'}"
    return f"{text}, {note}" if note else text


def short(error: object) -> str:
    """Return the first line of an error, shortened, with its type and the line of code that raised it."""
    if not isinstance(error, Exception):
        return str(error)
    kind, line, place = type(error).__name__, first_line(error), place_of(error)
    text = kind if line == kind else f"{kind}: {line}"
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f"{text} ({place})" if place else text


@dataclass(frozen=True)
class Subject:
    """The module under check, for maps of `channels` channels."""

    factory: Factory
    channels: int
    device: torch.device = CPU

    def build(
        self, *, training: bool = False, dtype: torch.dtype = torch.float32, seed: int = 0
    ) -> nn.Module:
        """Build the module; the same seed gives the same weights."""
        with seeded(seed):
            return self.factory(self.channels).to(self.device, dtype).train(training)

    def map(
        self, batch: int, size: tuple[int, int], dtype: torch.dtype = torch.float32, seed: int = 0
    ) -> Tensor:
        """Return a random map; the same seed gives the same map in each dtype."""
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn((batch, self.channels, *size), generator=generator, dtype=torch.float64)
        return x.to(self.device, dtype)

    @functools.cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """The sizes of maps, from small to large, that the module takes in eval, in a batch of two."""
        taken: list[tuple[int, int]] = []
        for size in SIZES:
            if len(taken) == ENOUGH:
                break
            x = self.map(2, size)
            try:
                y = self.build()(x)
            except Exception:
                continue
            if isinstance(y, Tensor) and y.shape == x.shape and y.isfinite().all():
                taken.append(size)
        return tuple(taken)

    @property
    def ordinary_size(self) -> tuple[int, int]:
        """A size that the module takes: 6×5, or the largest if it does not take this."""
        return (6, 5) if (6, 5) in self.sizes else self.sizes[-1]

    @property
    def takes_any_size(self) -> bool:
        """Whether the module took each size that was tried."""
        return self.sizes == SIZES[:ENOUGH]

    @functools.cached_property
    def precise(self) -> torch.dtype:
        """float64 if the module runs in it, else float32."""
        try:
            y = self.build(dtype=torch.float64)(self.map(2, self.ordinary_size, torch.float64))
        except Exception:
            return torch.float32
        return torch.float64 if y.dtype == torch.float64 else torch.float32

    @functools.cached_property
    def draws(self) -> bool:
        """Whether its output in training depends on random numbers, as with dropout."""
        outputs = []
        for seed in (0, 1):
            module = self.build(training=True)
            with seeded(seed):
                outputs.append(module(self.map(2, self.ordinary_size)))
        return not torch.equal(*outputs)

    def mistake(self, x: Tensor, *causes: Cause, training: bool = False) -> Mistake | None:
        """Run a forward pass of a new module on x, watched; return the first mistake of one of `causes`."""
        x = copy.deepcopy(x.detach())
        made = watched(lambda: self.build(training=training, dtype=x.dtype))
        if cuda := made.first("CUDA call inside"):
            return cuda
        return watched(lambda: made.result(x), x).first(*causes)

    def broken(
        self, x: Tensor, found: object, *causes: Cause, training: bool = False, note: str = ""
    ) -> Broken:
        """Return what broke on x, with the first mistake of one of `causes`."""
        mistake = self.mistake(x, *causes, training=training) if causes else None
        return Broken(written_input(x, training=training, note=note), short(found), mistake)
