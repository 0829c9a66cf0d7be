"""Adversarial attacks in the L∞ norm by the adversarial-robustness-toolbox, and signs of masked gradients.

* fgsm: one step, Goodfellow et al., ICLR 2015;
* pgd: 20 steps of 2.5 ε / 20 from a random start, Madry et al., ICLR 2018;
* ensemble: modelled on AutoAttack (Croce and Hein, ICML 2020): APGD on the cross-entropy, APGD on the
  difference of logits ratio, and Square (black-box), each on the images that the ones before did not break.
  It is smaller than AutoAttack (no FAB, no targeted attack, 50 steps and 500 queries), so more accuracy
  remains.

ε is in units of 1/255 of the image's range: the attacked model takes images in 0..1 and normalises them.
"""

import importlib.util
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foveate.errors import RequestError, unknown_name
from foveate.records.robustness import ATTACKS, Gradients

__all__ = [
    "Attacked",
    "NormalisedModel",
    "attack",
    "check_toolbox",
    "masking_signs",
    "useless_gradients",
]

PGD_STEPS = 20
APGD_STEPS = 50
SQUARE_QUERIES = 500
LEAST_CLASSES = 3
"""The difference of logits ratio divides by the distance to the third-largest logit."""
NOTEWORTHY, NOTEWORTHY_IMAGES = 0.01, 2
"""A difference of two attacks is a sign if it is over this share of the images, and at least this many."""


class Attacked(NamedTuple):
    """Adversarial images (N, C, H, W), the logits on them, and the accuracy that remains after each part."""

    images: Tensor
    logits: Tensor
    parts: dict[str, float]


class NormalisedModel(nn.Module):
    """A network and its normalisation: takes images in 0..1."""

    def __init__(self, network: nn.Module, normalise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.normalise = network, normalise

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes) in float32."""
        return self.network(self.normalise(images)).float()


def attack(
    model: NormalisedModel,
    images: Tensor,
    labels: Tensor,
    name: str,
    eps: float,
    *,
    classes: int,
    seed: int,
    batch_size: int = 128,
) -> Attacked:
    """Attack images (N, C, H, W) in 0..1 on the model's device; misclassified images stay as they are.

    Success is measured here, on images that are clipped to 0..1 and to ε around the clean ones. The global
    random generators of NumPy and Python, which the toolbox uses, are seeded, and restored afterwards.

    Raises:
        RequestError: an unknown attack, an ε that is not above 0 and at most 255, or the toolbox is missing.
    """
    if name not in ATTACKS:
        raise RequestError(unknown_name("attack", name, ATTACKS))
    if not 0 < eps <= 255:
        raise RequestError(f"eps must be above 0 and at most 255 (units of 1/255), got {eps:g}")
    classifier = _classifier(model, images, classes)
    radius = eps / 255
    found = images.clone()
    parts: dict[str, float] = {}
    for part, make in _parts(name, radius, batch_size, classes).items():
        left = (_logits(model, found, batch_size).argmax(1) == labels).nonzero()[:, 0]
        if len(left):
            clean = images[left]
            with _seeded(seed):
                targets = F.one_hot(labels[left], classes).float().cpu().numpy()
                made = make(classifier).generate(clean.cpu().numpy(), y=targets)
            adversarial = torch.from_numpy(made).to(images)
            adversarial = (clean + (adversarial - clean).clamp(-radius, radius)).clamp(0, 1)
            broken = _logits(model, adversarial, batch_size).argmax(1) != labels[left]
            # A single attack's images count as they are; of several, the first that succeeds.
            taken = broken if name == "ensemble" else torch.ones_like(broken)
            found[left[taken]] = adversarial[taken]
        parts[part] = (_logits(model, found, batch_size).argmax(1) == labels).double().mean().item()
    return Attacked(found, _logits(model, found, batch_size), parts)


def useless_gradients(
    model: NormalisedModel, images: Tensor, labels: Tensor, batch_size: int = 128
) -> Gradients:
    """Count the images whose gradient of the loss is zero everywhere, or not finite somewhere."""
    zero = broken = 0
    for some, answers in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        some = some.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(some), answers, reduction="sum"), some)
        finite = gradient.isfinite().flatten(1).all(1)
        broken += int((~finite).sum())
        zero += int((finite & (gradient == 0).flatten(1).all(1)).sum())
    return Gradients(zero=zero, not_finite=broken)


def masking_signs(
    accuracies: Mapping[float, Mapping[str, float]], gradients: Gradients | None, images: int
) -> list[str]:
    """Return the signs of masked gradients (Athalye et al., ICML 2018, section 3.1), in sentences.

    If gradients are masked, attacks that follow them fail, and the network only seems to be robust.

    Args:
        accuracies: for each ε, the accuracy that remains after each attack and each part of the ensemble.
        gradients: the counts of `useless_gradients`.
        images: number of images that were attacked.
    """

    def noteworthy(difference: float) -> bool:
        return difference > NOTEWORTHY and round(difference * images) >= NOTEWORTHY_IMAGES

    signs = []
    for eps, left in sorted(accuracies.items()):
        if {"fgsm", "pgd"} <= left.keys() and noteworthy(left["pgd"] - left["fgsm"]):
            signs.append(
                f"at {eps:g}/255 one step (FGSM leaves {left['fgsm']:.1%}) is stronger than "
                f"{PGD_STEPS} steps (PGD leaves {left['pgd']:.1%})"
            )
        following = [left[part] for part in ("apgd-ce", "apgd-dlr") if part in left]
        if "square" in left and following and noteworthy(following[-1] - left["square"]):
            signs.append(
                f"at {eps:g}/255 the black-box attack (Square) breaks {following[-1] - left['square']:.1%} "
                "of the images that those with gradients left"
            )
    by_eps = sorted((eps, left["pgd"]) for eps, left in accuracies.items() if "pgd" in left)
    for (low, before), (high, after) in pairwise(by_eps):
        if noteworthy(after - before):
            signs.append(f"PGD leaves more at {high:g}/255 ({after:.1%}) than at {low:g}/255 ({before:.1%})")
    if gradients is not None:
        for number, words in ((gradients.zero, "zero everywhere"), (gradients.not_finite, "not finite")):
            if number:
                signs.append(f"the gradient by the image is {words} for {number} of {images} images")
    return signs


def check_toolbox() -> None:
    """Raise RequestError, with what to do, if the toolbox is not installed, or only another package "art"."""
    try:
        found = importlib.util.find_spec("art.attacks.evasion")
    except ImportError:  # there is no art, or it has no attacks
        found = None
    if found is None:
        raise RequestError("attacks need the adversarial-robustness-toolbox: pip install 'foveate[attacks]'")


def _parts(name: str, eps: float, batch_size: int, classes: int) -> dict[str, Callable[[Any], Any]]:
    """Return the parts of the attack `name`; each takes the toolbox's classifier."""
    from art.attacks.evasion import (
        AutoProjectedGradientDescent,
        FastGradientMethod,
        ProjectedGradientDescentPyTorch,
        SquareAttack,
    )

    def apgd(loss: str) -> Callable[[Any], Any]:
        settings = {"eps": eps, "eps_step": 2 * eps, "max_iter": APGD_STEPS, "nb_random_init": 1}
        return lambda classifier: AutoProjectedGradientDescent(
            classifier, **settings, batch_size=batch_size, loss_type=loss, verbose=False
        )

    if name == "fgsm":
        return {"fgsm": lambda classifier: FastGradientMethod(classifier, eps=eps, batch_size=batch_size)}
    if name == "pgd":
        step = {"eps_step": 2.5 * eps / PGD_STEPS, "max_iter": PGD_STEPS, "num_random_init": 1}
        return {
            "pgd": lambda classifier: ProjectedGradientDescentPyTorch(
                classifier, eps=eps, **step, batch_size=batch_size, verbose=False
            )
        }
    parts: dict[str, Callable[[Any], Any]] = {"apgd-ce": apgd("cross_entropy")}
    if classes >= LEAST_CLASSES:
        parts["apgd-dlr"] = apgd("difference_logits_ratio")
    parts["square"] = lambda classifier: SquareAttack(
        classifier, eps=eps, max_iter=SQUARE_QUERIES, batch_size=batch_size, verbose=False
    )
    return parts


def _classifier(model: NormalisedModel, images: Tensor, classes: int) -> Any:
    check_toolbox()
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model.eval(),
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu" if images.device.type == "cpu" else "gpu",
    )


@torch.inference_mode()
def _logits(model: NormalisedModel, images: Tensor, batch_size: int) -> Tensor:
    return torch.cat([model(some) for some in images.split(batch_size)])


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    states = np.random.get_state(), random.getstate()
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
