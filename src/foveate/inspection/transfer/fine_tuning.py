"""Fine-tuning: a trained network with a new head, trained by a recipe like any run."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from foveate.data import Data
from foveate.errors import RequestError
from foveate.inspection.trained import Trained
from foveate.models.backbones.head import replace_head
from foveate.records.labels import BASELINE
from foveate.records.run import RunRecord
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.network import attach_candidate
from foveate.studies.engine.run import execute
from foveate.studies.spec.candidate import Candidate
from foveate.studies.spec.study import DataChoice, RunSpec
from foveate.training.recipe import Recipe

__all__ = ["TUNED", "Tuning", "check_attached", "fine_tune"]

TUNED = "transfer"
"""The folder of the fine-tuned runs, in the study's."""


class Tuning:
    """One fine-tuning: of `trained`, on `data`, by `recipe`, from `seed`, with a mechanism attached or not.

    Attributes:
        trained: the network that it starts from.
        data: the target, normalised as `trained` was trained.
        seed: of the new head and of the training.
        attached: the mechanism, which starts as the identity; None without one.
        spec: the run.
        id: names its folder; a hash of everything that decides what it learns.
    """

    def __init__(
        self,
        trained: Trained,
        choice: DataChoice,
        data: Data,
        recipe: Recipe,
        seed: int,
        attached: Candidate | None = None,
    ) -> None:
        if attached is not None:
            # As the identity it changes nothing before it is trained; tables show the label that was given.
            attached = attached.model_copy(update={"identity_init": True, "alias": attached.label})
        self.trained, self.seed, self.attached = trained, seed, attached
        # The weights were trained on images that were normalised in this way.
        self.data = replace(data, mean=trained.mean, std=trained.std)
        own = trained.spec.attention if trained.spec else Candidate(name=trained.label)
        self.spec = RunSpec(
            data=choice,
            fingerprint=data.fingerprint,
            backbone=trained.backbone,
            pretrained=False,
            attention=attached or own,
            recipe=recipe,
            seed=seed,
        )
        decisive = json.dumps([self.spec.id, trained.digest, len(data.test)])
        self.id = hashlib.sha256(decisive.encode()).hexdigest()[:16]

    def start(self) -> nn.Module:
        """Return the trained network with a new head, and with the mechanism attached, if there is one.

        The seed alone decides the weights of the head. So all networks of a seed start from the same head,
        and one with a mechanism attached has the same outputs as the baseline.
        """
        network = self.trained.network(torch.device("cpu"))
        torch.manual_seed(self.seed)
        replace_head(network, len(self.data.classes), self.trained.input_size)
        if self.attached is None:
            return network
        return attach_candidate(network, self.attached, self.trained.name)


def fine_tune(
    tuning: Tuning, folder: Path, machine: Machine, on_progress: Callable[[int, int], None]
) -> RunRecord:
    """Train and test `tuning` in its own folder below `folder`, from its checkpoint if there is one.

    The validation part chooses the weights; the test part is evaluated once.

    Raises:
        WorkError: the run failed.
    """

    def on_step(epoch: int, step: int, steps: int, _: float | None) -> None:
        on_progress((epoch - 1) * steps + step, tuning.spec.recipe.epochs * steps)

    return execute(tuning.spec, tuning.data, folder / TUNED / tuning.id, machine, on_step, tuning.start)


def check_attached(trained: list[Trained], attached: tuple[Candidate, ...]) -> None:
    """Raise RequestError if mechanisms are to be attached and there is no baseline network."""
    if attached and all(one.label != BASELINE for one in trained):
        raise RequestError(
            "--attach attaches mechanisms to baseline networks, and none of those given is one: give a run "
            "without attention, or a name that timm has weights for"
        )
