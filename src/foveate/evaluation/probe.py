"""A linear probe: how much of a new set's classes a straight line finds in what a network has learned.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes", ICLR 2017 workshop,
arXiv:1610.01644. The network is not trained: its features are taken once, and a logistic regression is fitted
on them.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.evaluation.classification import classification_scores

__all__ = ["STRENGTHS", "Features", "features", "find_head", "linear_probe"]

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Values of C, the inverse of the penalty's weight, from which the validation part chooses."""
ITERATIONS = 2000


class Features(NamedTuple):
    """Features, float32 (N, D), and labels, int64 (N,)."""

    values: Tensor
    labels: Tensor


def find_head(network: nn.Module, example: Tensor) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The layer that gives the logits, found by sending `example` (B, C, H, W) through: its path, and itself.

    It is the last one with weights to run, linear or a 1×1 convolution, with as many outputs as there are
    logits.

    Raises:
        RequestError: the network ends otherwise; what it ends with is named.
    """
    last: list[str] = []
    paths = {
        path: module for path, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)
    }

    def remember(path: str) -> Callable[..., None]:
        return lambda *_: last.append(path)

    hooks = [module.register_forward_hook(remember(path)) for path, module in paths.items()]
    try:
        with torch.inference_mode():
            logits = network(example)
    finally:
        for hook in hooks:
            hook.remove()
    name = type(network).__name__
    if not isinstance(logits, Tensor) or logits.ndim != 2 or not last:
        raise RequestError(f"{name} has no linear layer at its end that gives one logit a class")
    head = paths[last[-1]]
    outputs = head.out_features if isinstance(head, nn.Linear) else head.out_channels
    pointwise = isinstance(head, nn.Linear) or head.kernel_size == (1, 1)
    if outputs != logits.shape[1] or not pointwise or last.count(last[-1]) > 1:
        raise RequestError(
            f"{name} ends with {last[-1]}, a {type(head).__name__} of {outputs} outputs for "
            f"{logits.shape[1]} logits: its features cannot be told from its answers"
        )
    return last[-1], head


@torch.inference_mode()
def features(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    prepare: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
) -> Features:
    """What the layer that gives the logits takes, of all batches, on the CPU; a map (B, D, H, W) by its mean.

    `network` is put into evaluation mode and left there. `prepare` turns a uint8 batch into a normalised one.

    Raises:
        RequestError: the network does not end with such a layer, or that takes neither (B, D) nor a map.
    """
    network.to(device).eval()
    taken: list[Tensor] = []
    labels: list[Tensor] = []
    hook = None
    try:
        for images, targets in batches:
            prepared = prepare(images.to(device, non_blocking=True))
            if hook is None:
                path, head = find_head(network, prepared)
                hook = head.register_forward_pre_hook(_taking(taken, path))
            network(prepared)
            labels.append(targets)
    finally:
        if hook is not None:
            hook.remove()
    return Features(torch.cat(taken), torch.cat(labels))


def _taking(taken: list[Tensor], path: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    return lambda _, given: taken.append(_flat(given[0], path))


def _flat(values: Tensor, path: str) -> Tensor:
    if values.ndim == 4:
        values = values.mean((2, 3))
    if values.ndim != 2:
        raise RequestError(
            f"{path} takes values of shape {tuple(values.shape)}: expected one vector, or one map, an image"
        )
    return values.float().cpu()


def linear_probe(
    train: Features, validation: Features, test: Features, classes: Sequence[str]
) -> dict[str, Any]:
    """Fit a logistic regression on `train`, choose its penalty on `validation`, and judge it once on `test`.

    Each feature is standardised by the mean and deviation that it has in `train`. Of the values of C in
    `STRENGTHS` that one is taken whose accuracy on the validation part is best (of equals the smallest, the
    simplest model). The fit (L-BFGS, from zero) draws no random numbers.

    Returns:
        the scores of `classification_scores`, and "c", "validation_accuracy", "features" (D).

    Raises:
        RequestError: features that are not finite, or a training part without one of the classes.
    """
    for part in (train, validation, test):
        if not torch.isfinite(part.values).all():
            raise RequestError("the network's features are not all finite: nothing can be fitted on them")
    missing = [name for label, name in enumerate(classes) if label not in train.labels]
    if missing:
        raise RequestError(f"the training part has no image of {', '.join(missing)}")
    best: tuple[float, float, Any] | None = None
    for strength in STRENGTHS:
        model = _fit(train, strength)
        accuracy = float(model.score(validation.values.numpy(), validation.labels.numpy()))
        if best is None or accuracy > best[1]:
            best = strength, accuracy, model
    assert best is not None
    strength, accuracy, model = best
    logits = torch.from_numpy(np.atleast_2d(model.predict_log_proba(test.values.numpy()))).float()
    scores = classification_scores(logits.clamp(min=-1e4), test.labels, classes).to_json()
    return scores | {
        "c": strength,
        "validation_accuracy": accuracy,
        "features": train.values.shape[1],
    }


def _fit(part: Features, strength: float) -> Any:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=ITERATIONS))
    with warnings.catch_warnings():
        # A weak penalty on few images need not converge to its end; the validation part judges what it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(part.values.numpy(), part.labels.numpy())
