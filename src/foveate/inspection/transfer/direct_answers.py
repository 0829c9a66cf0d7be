"""A trained network's own answers for another set's images, among the classes that have a match."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from foveate.data import Data, make_loader, seen
from foveate.data.class_map import ClassMap
from foveate.evaluation.classification import classification_scores, predict
from foveate.inspection.trained import Trained
from foveate.records.run import Scores

__all__ = ["direct_scores", "prepare"]


def direct_scores(
    trained: Trained, data: Data, class_map: ClassMap, device: torch.device, batch_size: int = 256
) -> Scores:
    """Return the scores of a network's own answers for the target's test images, among the matches.

    Images of target classes without a match are excluded, and so are the logits of source classes without
    one. A match has the sum of the probabilities of its source classes, over all source classes that have a
    match: p_m ∝ Σ_{c in m} exp(logit_c). The answer is the most probable match.
    """
    matches = class_map.matches
    label_of = {name: number for number, match in enumerate(matches) for name in match.target}
    label_of_class = np.array([label_of.get(name, -1) for name in data.classes])
    labels = label_of_class[data.test.labels]
    chosen = np.flatnonzero(labels >= 0)
    loader = make_loader(data.test, chosen, batch_size, shuffle_seed=None)
    logits, _ = predict(trained.network(device), loader, partial(prepare, trained), device=device)
    columns = [[trained.classes.index(name) for name in match.source] for match in matches]
    merged = torch.stack([logits[:, numbers].logsumexp(1) for numbers in columns], 1)
    return classification_scores(merged, torch.from_numpy(labels[chosen]), [match.name for match in matches])


def prepare(trained: Trained, images: Tensor) -> Tensor:
    """Return canvases, uint8 (B, C, S, S), as `trained` takes them."""
    return trained.normalise(seen(images, trained.input_size[-1]))
