"""A linear probe: how much of a new set's classes a straight line finds in what a network has learned.

Alain & Bengio, "Understanding intermediate layers using linear classifier probes", ICLR 2017 workshop,
arXiv:1610.01644. The network is not trained: its features are taken once, and a logistic regression is fitted
on them.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
from foveate.records.run import Scores

__all__ = ["STRENGTHS", "Features", "Probe", "features", "linear_probe"]

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Values of C, the inverse of the penalty's weight, from which the validation part chooses."""
ITERATIONS = 2000


class Features(NamedTuple):
    """Features, float32 (N, D), and labels, int64 (N,)."""

    values: Tensor
    labels: Tensor


@torch.inference_mode()
def features(
    network: nn.Module,
    head: str,
    batches: Iterable[tuple[Tensor, Tensor]],
    prepare: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
) -> Features:
    """Return the input of the module at the path `head`, for all batches, on the CPU; a map by its mean.

    `network` is put into evaluation mode and left there. `prepare` turns a uint8 batch into a normalised one.

    Raises:
        RequestError: the head takes neither (B, D) nor a map (B, D, H, W).
    """
    network.to(device).eval()
    taken: list[Tensor] = []
    labels: list[Tensor] = []
    hook = network.get_submodule(head).register_forward_pre_hook(_taking(taken, head))
    try:
        for images, targets in batches:
            network(prepare(images.to(device, non_blocking=True)))
            labels.append(targets)
    finally:
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


@dataclass(frozen=True)
class Probe:
    """A fitted linear probe.

    Attributes:
        scores: on the test part.
        c: the inverse of the penalty's weight, which the validation part chose.
        validation_accuracy: with this c.
        features: number D of features.
    """

    scores: Scores
    c: float
    validation_accuracy: float
    features: int


def linear_probe(train: Features, validation: Features, test: Features, classes: Sequence[str]) -> Probe:
    """Fit a logistic regression on `train`, choose its penalty on `validation`, and test it once on `test`.

    Each feature is standardised by its mean and deviation in `train`. Of the values of C in `STRENGTHS` the
    one with the best accuracy on the validation part is chosen (of equals the smallest, the simplest model).
    The fit (L-BFGS, from zero) draws no random numbers.

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
    scores = classification_scores(logits.clamp(min=-1e4), test.labels, classes)
    return Probe(scores, strength, accuracy, train.values.shape[1])


def _fit(part: Features, strength: float) -> Any:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=ITERATIONS))
    with warnings.catch_warnings():
        # With a weak penalty and few images the fit need not converge; the validation part judges the result.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(part.values.numpy(), part.labels.numpy())
