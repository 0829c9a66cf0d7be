"""DMSCA's inference on a CPU in one call, with three reads of the map and one write."""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from foveate.kernels.anatomy import MOST_BRANCHES
from foveate.kernels.numba import pixels, planes
from foveate.kernels.numba.gates import image_of, measure_channels, measure_pixels, measuring_scratch
from foveate.kernels.numba.maths import jit, precise_sigmoid
from foveate.kernels.numba.planes import BLOCK, EMBEDDED
from foveate.kernels.numba.small import (
    channel_mlp,
    convolve_pair,
    directions,
    fold,
    pad_pair,
    read_kernels,
)
from foveate.kernels.numba.team import (
    MAP,
    Plan,
    attend_images,
    barrier,
    floats,
    is_last,
    make_plan,
    read_task,
    rows,
    share,
    take,
    take_kernels,
    take_rows,
    whole_lines,
    worker,
)

f = np.float32
BRANCHES = MOST_BRANCHES

NORM = ("weight", "bias", "mean", "variance")
SIZES = ("hidden", "mid", "branches", "margin", "interact_last")
BRANCH = ("conv", *NORM)
BEFORE = ("reduce", "expand", "log_tau")
BEHIND = (
    *("embed", *(f"embed_{name}" for name in NORM)),
    *("interact", *(f"interact_{name}" for name in NORM)),
    *("project", "dff", "dff_bias", "aa", "aa_bias"),
)
TASK = np.dtype(
    [(name, np.int64) for name in MAP + SIZES + BEFORE + BEHIND]
    + [(f"branch_{name}", np.int64, (BRANCHES,)) for name in ("size", "last", *BRANCH)]
    + [(name, np.float64) for name in ("tau", "embed_eps", "interact_eps")]
    + [("branch_eps", np.float64, (BRANCHES,))],
)

_read = read_task(TASK)


@jit
def _attend(task, image, shared, own, rank, team):
    C, P = task.channels, task.height * task.width
    descriptor, shared = take(shared, C)
    maxima, shared = take(shared, C)
    hidden, shared = take(shared, task.hidden)
    scale, shared = take(shared, C)
    of_c, shared = take(shared, C)
    of_s, shared = take(shared, C)
    embed, shared = take_rows(shared, EMBEDDED, C)
    at_project = shared
    project, shared = take(shared, EMBEDDED * C)
    embedded, shared = take_rows(shared, EMBEDDED, P)
    product, shared = take_rows(shared, EMBEDDED, P)
    pooled, shared = take_rows(shared, 2, P)
    multi, shared = take(shared, P)

    measure_channels(task, image, descriptor, maxima, own, rank, team)
    begin, end = share(C, rank, team)
    for c in range(begin, end):
        descriptor[c] += maxima[c]
    barrier(team)
    W_1, W_2 = rows(task.reduce, task.hidden, C), rows(task.expand, C, task.hidden)
    channel_mlp(descriptor, W_1, W_2, hidden, scale, rank, team)
    _weigh(task, scale, of_c, of_s, embed, project, begin, end)
    barrier(team)

    measure_pixels(task, image, scale, embed, embedded, pooled, own, rank, team)
    barrier(team)
    if rank == 0:
        _multi_scale(task, pooled, multi, shared)
    if rank == team - 1:
        _interact(task, embedded, product, own)
    barrier(team)

    x, y = image_of(task, image)
    block = floats(own, BLOCK)
    dff_bias, aa_bias = floats(task.dff_bias, 2), floats(task.aa_bias, 1)
    of_two = (of_c, of_s, floats(task.aa, C), (dff_bias[0] - dff_bias[1], aa_bias[0]))
    if task.channels_last:
        begin, end = share(P, rank, team)
        P_p = rows(at_project, EMBEDDED, C)
        pixels.fuse(x, y, scale, multi, product, P_p, *of_two, block, begin, end)
    else:
        blocks = (own - 4 * rank * task.own, task.own, team)
        P_c = rows(at_project, C, EMBEDDED)
        planes.fuse(x, y, scale, multi, product, P_c, *of_two, block, blocks, begin, end)
    barrier(team)


@jit
def _weigh(task, scale, of_c, of_s, embed, project, begin, end):
    """Write A_c of the channels [begin, end), from f in `scale`, and the weights that belong to them.

    Those of the embedding (EMBEDDED, C) are multiplied by A_c; those of the projection have the layout of the
    map's memory format.
    """
    C = task.channels
    E, P = rows(task.embed, task.mid, C), rows(task.project, C, task.mid)
    dff = rows(task.dff, 2, 2 * C)
    tau = f(task.tau) if task.tau > 0 else math.exp(floats(task.log_tau, 1)[0])
    for c in range(begin, end):
        scale[c] = precise_sigmoid(scale[c] / tau)
        of_c[c] = dff[0, c] - dff[1, c]
        of_s[c] = dff[0, C + c] - dff[1, C + c]
    for m in range(EMBEDDED):
        for c in range(begin, end):
            embed[m, c] = E[m, c] * scale[c] if m < task.mid else f(0)
    per_channel, per_product = (1, C) if task.channels_last else (EMBEDDED, 1)
    for c in range(begin, end):
        for m in range(EMBEDDED):
            project[c * per_channel + m * per_product] = P[c, m] if m < task.mid else f(0)


@jit
def _multi_scale(task, pooled, multi, scratch):
    """Write F_multi (P,) from S (2, P)."""
    H, W, margin = task.height, task.width, task.margin
    width = W + 2 * margin
    padded, scratch = take_rows(scratch, 2, (H + 2 * margin) * width + 2 * margin)
    total, scratch = take(scratch, H * width)
    summed, scratch = take(scratch, H * width)
    pad_pair(pooled, H, W, margin, padded)
    summed[:] = f(0)
    for b in range(task.branches):
        k = task.branch_size[b]
        kernel, _ = take_kernels(scratch, 1, 2, k)
        read_kernels(task.branch_conv[b], task.branch_last[b], kernel)
        gain = floats(task.branch_weight[b], 1)[0]
        gain /= math.sqrt(floats(task.branch_variance[b], 1)[0] + f(task.branch_eps[b]))
        offset = floats(task.branch_bias[b], 1)[0] - floats(task.branch_mean[b], 1)[0] * gain
        total[:] = f(0)
        convolve_pair(padded, (margin - k // 2) * (width + 1), kernel[0], total, width)
        for p in range(len(total)):
            value = total[p] * gain + offset
            summed[p] += f(0) if value < f(0) else value
    for h in range(H):
        for w in range(W):
            multi[h * W + w] = summed[h * width + w] / f(task.branches)


@jit
def _interact(task, embedded, product, scratch):
    """Write F_inter ⊙ (F_h + F_w), (EMBEDDED, P), from the embedded map."""
    M = task.mid
    scale, scratch = take_rows(scratch, 2, M)
    shift, scratch = take_rows(scratch, 2, M)
    row, scratch = take_rows(scratch, M, task.height)
    column, scratch = take_rows(scratch, M, task.width)
    terms, scratch = take(scratch, task.width)
    weight, bias = floats(task.embed_weight, M), floats(task.embed_bias, M)
    mean, variance = floats(task.embed_mean, M), floats(task.embed_variance, M)
    fold(scale[0], shift[0], weight, bias, mean, variance, task.embed_eps)
    weight, bias = floats(task.interact_weight, M), floats(task.interact_bias, M)
    mean, variance = floats(task.interact_mean, M), floats(task.interact_variance, M)
    fold(scale[1], shift[1], weight, bias, mean, variance, task.interact_eps)
    conv, scratch = take_kernels(scratch, M, 2 * M, 3)
    read_kernels(task.interact, task.interact_last, conv)
    directions(embedded, task.height, task.width, scale, shift, conv, row, column, terms, product)
    product[M:] = f(0)


@worker
def work(address):
    """Do this thread's share of the task at `address`."""
    attend_images(_read(address), _attend)


def plan(shape: Sequence[int], weights: Sequence[Tensor], numbers: Sequence[float]) -> Plan:
    """Return the plan of DMSCA for images of a shape (C, H, W).

    `weights` are in the order of the state dict: BEFORE (log τ only if it is learned), BRANCH for each branch
    of MSCE, BEHIND. `numbers` are τ, or 0 if it is learned, and the eps of each batch norm.
    """
    C, H, W = shape
    tau, *branch_eps, embed_eps, interact_eps = numbers
    first = 2 + (len(weights) - len(BEHIND) - 2) % len(BRANCH)  # 3 if log τ is learned
    before = [*weights[:2], weights[first - 1]]
    branches, behind = weights[first : -len(BEHIND)], weights[-len(BEHIND) :]
    convolutions = branches[:: len(BRANCH)]
    columns = [[weight.shape[-1] for weight in convolutions], [int(is_last(w)) for w in convolutions]]
    columns += [[w.data_ptr() for w in branches[i :: len(BRANCH)]] for i in range(len(BRANCH))]
    unused = [0] * (BRANCHES - len(branch_eps))
    hidden, mid, margin, P = len(before[0]), len(behind[0]), max(columns[0]) // 2, H * W
    width = W + 2 * margin
    shared = [C, C, hidden, C, C, C, EMBEDDED * C, EMBEDDED * C, EMBEDDED * P, EMBEDDED * P, 2 * P, P]
    shared += [2 * ((H + 2 * margin) * width + 2 * margin), H * width, H * width, 2 * (2 * margin + 1) ** 2]
    small = [2 * mid, 2 * mid, mid * H, mid * W, W, 2 * mid * mid * 9]
    own = [max(measuring_scratch(C, P, EMBEDDED), sum(map(whole_lines, small)), BLOCK)]
    addresses = [weight.data_ptr() for weight in (*before, *behind)]
    for column in columns:
        addresses += column + unused
    sizes = (hidden, mid, len(branch_eps), margin, is_last(behind[BEHIND.index("interact")]))
    return make_plan(
        work, sizes, (shared, own), addresses, (tau, embed_eps, interact_eps, *branch_eps, *unused)
    )
