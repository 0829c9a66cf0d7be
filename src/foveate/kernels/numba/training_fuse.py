"""DMSCA's third pass in training: its output from the small maps, and all gradients."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from foveate.kernels.numba import fuse_backward as backward
from foveate.kernels.numba import planes, planes_backward
from foveate.kernels.numba.maths import jit
from foveate.kernels.numba.planes import EMBEDDED
from foveate.kernels.numba.team import attend_whole_images, floats, read_task, rows, take, worker
from foveate.kernels.numba.training import carry_out, planes_of, task_of, threads_of

__all__ = ["fuse", "fuse_backward"]

f = np.float32
GIVEN = ("x", "scale", "multi", "product", "project", "of_c", "of_s", "of_alpha", "biases")
"""`product` and `project` have EMBEDDED maps; DFF's weights are those of the difference of its logits."""

_read = read_task(task_of(*GIVEN, "y"))
_read_backward = read_task(task_of(*GIVEN, "dy", "dx", "d_scale", "d_multi", "d_product"))


@jit
def _fuse(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    block = floats(own, planes.BLOCK)
    planes.fuse(
        planes_of(task, task.x, image),
        planes_of(task, task.y, image),
        floats(task.scale + 4 * image * C, C),
        floats(task.multi + 4 * image * P, P),
        rows(task.product + 4 * image * EMBEDDED * P, EMBEDDED, P),
        rows(task.project, C, EMBEDDED),
        floats(task.of_c, C),
        floats(task.of_s, C),
        floats(task.of_alpha, C),
        floats(task.biases, 2),
        block,
        (own, 0, 1),
        0,
        C,
    )


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read(address), _fuse)


def fuse(
    x: Tensor,
    scale: Tensor,
    multi: Tensor,
    product: Tensor,
    project: Tensor,
    dff_weight: Tensor,
    dff_bias: Tensor,
    aa_weight: Tensor,
    aa_bias: Tensor,
) -> Tensor:
    """Return α ⊙ (w₀ + w₁ ⊙ g) ⊙ scale ⊙ x: see reference.fuse."""
    y = torch.empty_like(x)
    given = _prepared(product, project, dff_weight, dff_bias, aa_weight, aa_bias)
    carry_out(work, x, (x, scale, multi, *given, y), (planes.BLOCK,))
    return y


def _prepared(
    product: Tensor, project: Tensor, dff_weight: Tensor, dff_bias: Tensor, aa_weight: Tensor, aa_bias: Tensor
) -> list[Tensor]:
    """Return product and project with EMBEDDED maps, the weights of X_c, X_s and AA, and both biases."""
    C, M = project.shape
    missing = EMBEDDED - M
    if missing:
        product, project = pad(product, (0, 0, 0, 0, 0, missing)), pad(project, (0, missing))
    of_c, of_s = (dff_weight[0] - dff_weight[1]).split(C)
    biases = torch.cat([(dff_bias[0] - dff_bias[1])[None], aa_bias])
    return [product, project, of_c, of_s, aa_weight, biases]


@jit
def _differentiate(task, image, own, sums):
    C, P = task.channels, task.height * task.width
    block, rest = take(own, backward.ROWS * planes_backward.STRIDE)
    backward.fuse(
        planes_of(task, task.x, image),
        floats(task.scale + 4 * image * C, C),
        floats(task.multi + 4 * image * P, P),
        rows(task.product + 4 * image * EMBEDDED * P, EMBEDDED, P),
        rows(task.project, C, EMBEDDED),
        floats(task.of_c, C),
        floats(task.of_s, C),
        floats(task.of_alpha, C),
        floats(task.biases, 2),
        planes_of(task, task.dy, image),
        planes_of(task, task.dx, image),
        floats(task.d_scale + 4 * image * C, C),
        floats(task.d_multi + 4 * image * P, P),
        rows(task.d_product + 4 * image * EMBEDDED * P, EMBEDDED, P),
        rows(sums, C + 1, EMBEDDED + 3),
        floats(rest, 2 * C * planes_backward.STRIDE),
        block,
    )


@worker
def work_backward(address):
    """Do this thread's share of the task at `address`."""
    attend_whole_images(_read_backward(address), _differentiate)


def fuse_backward(
    x: Tensor,
    scale: Tensor,
    multi: Tensor,
    product: Tensor,
    project: Tensor,
    dff_weight: Tensor,
    dff_bias: Tensor,
    aa_weight: Tensor,
    aa_bias: Tensor,
    dy: Tensor,
) -> list[Tensor]:
    """Return the gradient of each argument."""
    C, M = project.shape
    given = _prepared(product, project, dff_weight, dff_bias, aa_weight, aa_bias)
    dx, d_scale, d_multi = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(multi)
    d_product = torch.empty_like(given[0])
    sums = x.new_zeros(threads_of(x), C + 1, EMBEDDED + 3)
    outputs = (dx, d_scale, d_multi, d_product)
    own = backward.ROWS * planes_backward.STRIDE, 2 * C * planes_backward.STRIDE
    carry_out(work_backward, x, (x, scale, multi, *given, dy, *outputs), own, sums)
    total = sums.sum(0)
    d_project, of_c, of_s, d_aa = total[:C].split([EMBEDDED, 1, 1, 1], dim=1)
    d_difference = torch.cat([of_c, of_s]).flatten()
    d_bias, d_aa_bias = total[C, :2].split(1)
    return [
        dx,
        d_scale,
        d_multi,
        d_product[:, :M].contiguous(),
        d_project[:, :M].contiguous(),
        torch.stack([d_difference, -d_difference]),
        torch.cat([d_bias, -d_bias]),
        d_aa.flatten(),
        d_aa_bias,
    ]
