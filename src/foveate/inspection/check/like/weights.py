"""The tensors of a module, and how they can be assigned to the roles that an equation has for them."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d

from foveate.inspection.check.subject import seeded

__all__ = ["Held", "Role", "Weights", "assignments", "held_by", "norm_roles", "randomise"]

MOST_ASSIGNMENTS = 48
"""No more assignments of equally shaped tensors are tried; the order of definition comes first."""
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
NORM = ("norm.weight", "norm.bias", "norm.mean", "norm.var")


@dataclass(frozen=True)
class Role:
    """A tensor that an equation needs: its name, its shape without axes of 1, and what it belongs to.

    Sizes that the equation leaves open are letters, and the same letter is the same size.
    """

    name: str
    shape: tuple[int | str, ...]
    kind: str = "weight"


def norm_roles(name: str, *channels: int | str) -> list[Role]:
    """Return the roles of a batch norm over `channels`, or over one channel: scale, shift, statistics."""
    return [Role(f"{name}.{kind.partition('.')[2]}", channels, kind) for kind in NORM]


@dataclass(frozen=True)
class Held:
    """A tensor that a module holds; `shape` and `kind` are as in Role, `owner` is the path of its module."""

    name: str
    owner: str
    tensor: Tensor
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Weights:
    """Tensors by role; `eps` is that of the module's norms."""

    tensors: Mapping[str, Tensor]
    eps: float
    training: bool = False

    def get(self, name: str) -> Tensor | None:
        """Return the tensor of a role, None if the equation has no such role."""
        return self.tensors.get(name)

    def normalise(self, name: str, x: Tensor) -> Tensor:
        """Return the batch norm called `name` of x, which stays as it is where there is none."""
        if f"{name}.weight" not in self.tensors:
            return x
        weight, bias, mean, var = (
            self.tensors[f"{name}.{part}"] for part in ("weight", "bias", "mean", "var")
        )
        return batch_norm(x, mean.clone(), var.clone(), weight, bias, self.training, eps=self.eps)

    def layer(self, name: str, x: Tensor) -> Tensor:
        """Return the 1×1 convolution called `name` of x (B, C, …), with its bias where there is one."""
        weight = self.tensors[name].reshape(-1, x.shape[1])
        return conv2d(x, weight[:, :, None, None], self.get(f"{name}.bias"))


def held_by(module: nn.Module) -> list[Held]:
    """Return the tensors of a module in the order of their definition, with the buffers of its norms."""
    held = []
    for path, part in module.named_modules():
        is_norm = isinstance(part, NORMS)
        own = dict(part.named_parameters(recurse=False))
        if is_norm:
            own |= {
                key: value for key, value in part.named_buffers(recurse=False) if value.is_floating_point()
            }
        for key, tensor in own.items():
            kind = f"norm.{key.removeprefix('running_')}" if is_norm else "weight"
            name = f"{path}.{key}" if path else key
            held.append(Held(name, path, tensor, _without_ones(tensor.shape), kind))
    return held


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Give a module weights that show differences: gates in the middle, norms that shift and scale."""
    with seeded(seed), torch.no_grad():
        for held in held_by(module):
            tensor = held.tensor
            if held.kind == "norm.var":
                tensor.uniform_(0.5, 1.5)
            elif held.kind == "norm.weight":
                tensor.normal_(1.0, 0.3)
            elif tensor.ndim < 2:
                tensor.normal_(0.0, 0.5)
            else:
                tensor.normal_(0.0, 1.5 / max(1, tensor[0].numel()) ** 0.5)


def assignments(roles: list[Role], held: list[Held]) -> Iterator[tuple[dict[str, Held], dict[str, int]]]:
    """Yield the ways to give each role a tensor of its shape, so that no tensor is left, with the open sizes.

    Tensors keep the order of their definition in the first that is yielded. The bias of a layer, and the
    parts of a norm, are tensors of one module.
    """
    if len(roles) != len(held) or sorted(_key(role) for role in roles) != sorted(_key(one) for one in held):
        return
    found = _assign(roles, held, {}, {})
    yield from itertools.islice(found, MOST_ASSIGNMENTS)


def _key(one: Role | Held) -> tuple[str, int]:
    return one.kind, len(one.shape)


def _assign(
    roles: list[Role], held: list[Held], given: dict[str, Held], sizes: dict[str, int]
) -> Iterator[tuple[dict[str, Held], dict[str, int]]]:
    if not roles:
        yield given, sizes
        return
    role, rest = roles[0], roles[1:]
    for index, one in enumerate(held):
        matched = _match(role, one, sizes)
        sibling = given.get(role.name.rpartition(".")[0]) or given.get(
            f"{role.name.rpartition('.')[0]}.weight"
        )
        if matched is not None and (sibling is None or sibling.owner == one.owner):
            others = held[:index] + held[index + 1 :]
            yield from _assign(rest, others, given | {role.name: one}, matched)


def _match(role: Role, held: Held, sizes: dict[str, int]) -> dict[str, int] | None:
    """Return the open sizes under which `held` has the role; None if there are none."""
    if role.kind != held.kind or len(role.shape) != len(held.shape):
        return None
    sizes = dict(sizes)
    for wanted, size in zip(role.shape, held.shape, strict=True):
        if isinstance(wanted, str):
            wanted = sizes.setdefault(wanted, size)
        if wanted != size:
            return None
    return sizes
