"""The networks of `compiled_price.py`, eager and in each form of compiling; the proof of a compiled one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from foveate.errors import WorkError
from foveate.profiling.networks import Ready, make_ready
from foveate.profiling.spec import ProfileSpec
from foveate.torch_private import inductor_settings
from price_networks import AGAIN, BASELINE, EQUATIONS, FOVEATE
from price_proof import check_kernels_load

EAGER = "eager"
FORMS: dict[str, dict[str, Any]] = {
    "default": {},
    "max-autotune": {"max_autotune": True, "coordinate_descent_tuning": True},
    "freezing": {"freezing": True},
}
"""The forms of compiling: inductor's settings beyond its defaults.

Freezing is for inference only: the weights become constants, and the batch norms go into them.
"""
NETWORKS = (BASELINE, EQUATIONS, FOVEATE)
FAR = 0.25
"""The largest error of a compiled output, as a share of the distance of the output from the baseline's."""
ROUNDING = 1e-4
"""The error of a compiled output that is always allowed, relative to the output."""
FURTHEST_GRADIENT = 2e-3
"""The largest error of all gradients together, relative to their norm: float32, through a whole network."""


class Contender(NamedTuple):
    """A network of a comparison: `network` is a name of price_networks, `form` is EAGER or one of FORMS."""

    network: str
    form: str


class Proof(NamedTuple):
    """How long compiling a network took, and by how much it is off its uncompiled form, relatively."""

    compile_seconds: float
    off: float
    gradients_off: float | None


def list_contenders(forms: Sequence[str]) -> list[Contender]:
    """List the networks of a comparison; the baseline comes first, and again, which shows the noise."""
    eager = [Contender(name, EAGER) for name in (BASELINE, AGAIN, EQUATIONS, FOVEATE)]
    return eager + [Contender(name, form) for form in forms for name in NETWORKS]


def make_contender(spec: ProfileSpec, contender: Contender, backend: str = "inductor") -> Ready:
    """Build a contender; a compiled one is compiled at its first call, which `as_compiled` must enclose."""
    plain, candidate = spec.attention
    path = "reference" if contender.network == EQUATIONS else spec.path
    spec = replace(spec, compile=contender.form != EAGER, path=path)
    return make_ready(spec, plain if contender.network in (BASELINE, AGAIN) else candidate, backend)


@contextmanager
def as_compiled(form: str) -> Iterator[None]:
    """Compile what is first called in the block in that form."""
    with inductor_settings(**FORMS.get(form, {})):
        yield


def prove(spec: ProfileSpec, contender: Contender, backend: str = "inductor") -> Proof:
    """Compile a contender; compare its output and, in training, its gradients with those of its eager form.

    Raises:
        WorkError: they differ by more than rounding does.
    """
    check_kernels_load([spec.attention[1].name])
    uncompiled = run_once(make_contender(spec, contender._replace(form=EAGER)))
    baseline = run_once(make_contender(spec, Contender(BASELINE, EAGER)))
    ready = make_contender(spec, contender, backend)
    started = time.perf_counter()
    with as_compiled(contender.form):
        found = run_once(ready)
    took = time.perf_counter() - started
    without = None if contender.network == BASELINE else baseline["output"]
    off = check_output(found["output"], uncompiled["output"], without)
    gradients = check_gradients(found["gradients"], uncompiled["gradients"]) if ready.optimizer else None
    return Proof(round(took, 1), off, gradients)


def run_once(ready: Ready) -> dict[str, Tensor]:
    """Return the logits in float64 and, of a network in training, all gradients as one vector in float64.

    The gradient mode is that of a step, for torch compiles for that mode.
    """
    if ready.optimizer is None:
        with torch.inference_mode():
            return {"output": ready.runs(ready.images).double()}
    ready.optimizer.zero_grad(set_to_none=True)
    output = ready.runs(ready.images)
    labels = torch.arange(len(output), device=output.device) % output.shape[1]
    cross_entropy(output, labels).backward()
    gradients = [one.grad.flatten() for one in ready.network.parameters() if one.grad is not None]
    return {"output": output.detach().double(), "gradients": torch.cat(gradients).double()}


def check_output(found: Tensor, uncompiled: Tensor, baseline: Tensor | None) -> float:
    """Return the error of a compiled output; `baseline` is the output of the network without attention.

    Raises:
        WorkError: it is too large.
    """
    size = uncompiled.norm().clamp(min=1e-30)
    off = ((found - uncompiled).norm() / size).item()
    away = 1.0 if baseline is None else ((baseline - uncompiled).norm() / size).item()
    if not off <= max(FAR * away, ROUNDING):
        raise WorkError(
            f"the compiled network is off its uncompiled self by {off:.1e}, and the baseline is by "
            f"{away:.1e}: it is not timed"
        )
    return off


def check_gradients(found: Tensor, uncompiled: Tensor) -> float:
    """Return the error of the gradients of a compiled network; raise WorkError if it is too large."""
    off = ((found - uncompiled).norm() / uncompiled.norm().clamp(min=1e-30)).item()
    if not off <= FURTHEST_GRADIENT:
        raise WorkError(
            f"the gradients of the compiled network are off those of its uncompiled self by {off:.1e}; "
            f"allowed is {FURTHEST_GRADIENT:.0e}: it is not timed"
        )
    return off
