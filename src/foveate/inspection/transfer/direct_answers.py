"""A trained network's own answers for another set's images, as far as classes have a match."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, make_loader, seen
from foveate.data.class_map import ClassMap
from foveate.evaluation.classification import classification_scores, predict
from foveate.inspection.trained import Trained

__all__ = ["direct_scores", "prepared", "row_values"]

SCORES = ("accuracy", "loss", "precision", "recall", "f1", "ece", "per_class")


def direct_scores(
    trained: Trained, data: Data, class_map: ClassMap, device: torch.device, batch_size: int = 256
) -> dict[str, Any]:
    """Scores of a network's own answers for the target's test images, as far as classes have a match.

    Images of target classes without a match are left out, and so are the logits of source classes without
    one. Of what remains each match has the probability that its source classes have together, reckoned among
    the source classes with a match alone: p_m ∝ Σ_{c in m} exp(logit_c). The answer is the likeliest match.
    """
    matches = class_map.matches
    label_of = {name: number for number, match in enumerate(matches) for name in match.target}
    translation = np.array([label_of.get(name, -1) for name in data.classes])
    labels = translation[data.test.labels]
    chosen = np.flatnonzero(labels >= 0)
    loader = make_loader(data.test, chosen, batch_size, shuffle_seed=None)
    logits, _ = predict(trained.network(device), loader, partial(prepared, trained), device=device)
    columns = [[trained.classes.index(name) for name in match.source] for match in matches]
    merged = torch.stack([logits[:, numbers].logsumexp(1) for numbers in columns], 1)
    scores = classification_scores(
        merged, torch.from_numpy(labels[chosen]), [match.name for match in matches]
    )
    return row_values(scores.to_json(), len(matches), len(chosen))


def prepared(trained: Trained, images: Tensor) -> Tensor:
    """Canvases, uint8 (B, C, S, S), as `trained` takes them."""
    return trained.normalise(seen(images, trained.input_size[-1]))


def row_values(scores: Mapping[str, Any], choices: int, images: int) -> dict[str, Any]:
    """What a row keeps of `scores`, with the accuracy of guessing among `choices`."""
    return {name: scores[name] for name in SCORES} | {"chance": 1 / choices, "images": images}
