"""What one network answers with its gates as they are, with a mean in their place, and with others' gates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.evaluation.gate_statistics import GateMeans, GateStatistics
from foveate.inspection.images import ChosenImages
from foveate.models.sites.gates import Gate, constant_gates, recorded_gates, swapped_gates
from foveate.records.gates import ReplacedScore, Replacement

__all__ = ["Measured", "Prepare", "collect_statistics", "measure_replacements"]

Prepare = Callable[[Tensor], Tensor]
"""Takes images (B, C, S, S) in 0..1 and returns them as the network takes them, on its device."""
SAME = 1e-5
"""Two constants are the same numbers below this relative difference."""


@dataclass
class Tally:
    """Counts images with two answers each: with the gates as they are, and with some of them replaced."""

    right: int = 0
    lost: int = 0
    gained: int = 0
    images: int = 0

    def add(self, before: Tensor, after: Tensor) -> None:
        """Add which answers of a batch are right before and after the replacement, bool (B,)."""
        self.right += int(after.sum())
        self.lost += int((before & ~after).sum())
        self.gained += int((~before & after).sum())
        self.images += len(before)

    @property
    def score(self) -> ReplacedScore:
        """The counts as a record has them."""
        return ReplacedScore(accuracy=self.right / self.images, lost=self.lost, gained=self.gained)


Scores = dict[Replacement, ReplacedScore]


@dataclass(frozen=True)
class Measured:
    """The accuracy of a network as it is, and with each gate replaced by itself, or all of them together."""

    accuracy: float
    alone: dict[Gate, Scores] = field(default_factory=dict)
    together: Scores = field(default_factory=dict)


def collect_statistics(
    network: nn.Module, gates: Sequence[Gate], images: ChosenImages, prepare: Prepare, batch_size: int
) -> dict[Gate, GateStatistics]:
    """Return the statistics of each gate over `images`.

    Raises:
        RequestError: a gate is not finite.
    """
    found = {gate: GateStatistics() for gate in gates}
    with recorded_gates(network, gates) as values, torch.inference_mode():
        for rows in images.batches(batch_size):
            network(prepare(images.read(rows)[0]))
            for gate in gates:
                if not values[gate].isfinite().all():
                    raise RequestError(f"the gate at {gate.site} is not finite")
                found[gate].add(values[gate])
    return found


def measure_replacements(
    network: nn.Module,
    means: Mapping[Gate, GateMeans],
    images: ChosenImages,
    prepare: Prepare,
    batch_size: int,
    on_share: Callable[[float], None],
) -> Measured:
    """Return the accuracy on `images` with each of the gates replaced, and with all of them.

    Each batch is read once and answered once for each replacement. `on_share` is called with the share of the
    batches that is done. Of a single image, no gate can be that of another one.

    Raises:
        RequestError: the answers of the network are not finite.
    """
    gates, batches = [*means], images.batches(batch_size)
    kinds = [kind for kind in Replacement if kind is not Replacement.SWAPPED or len(images) > 1]
    twins = {gate: _twins(one) for gate, one in means.items()}
    tallies = {(gate, kind): Tally() for gate in gates for kind in kinds if kind not in twins[gate]}
    together, clean = {kind: Tally() for kind in kinds}, Tally()
    with torch.inference_mode():
        for done, rows in enumerate(batches):
            some, labels = images.read(rows)
            some, labels = prepare(some), labels.to(some.device)
            logits = network(some)
            if not logits.isfinite().all():
                raise RequestError("its answers are not finite")
            labels = labels.to(logits.device)
            right = logits.argmax(dim=1) == labels
            clean.add(right, right)
            for (gate, kind), tally in tallies.items():
                with _replaced(network, {gate: means[gate]}, kind, some.device):
                    tally.add(right, network(some).argmax(dim=1) == labels)
            for kind, tally in together.items():
                with _replaced(network, means, kind, some.device):
                    tally.add(right, network(some).argmax(dim=1) == labels)
            on_share((done + 1) / len(batches))
    return Measured(
        accuracy=clean.right / clean.images,
        alone={
            gate: {kind: tallies[gate, twins[gate].get(kind, kind)].score for kind in kinds} for gate in gates
        },
        together={kind: tally.score for kind, tally in together.items()},
    )


@contextmanager
def _replaced(
    network: nn.Module, means: Mapping[Gate, GateMeans], kind: Replacement, device: torch.device
) -> Iterator[None]:
    if kind is Replacement.SWAPPED:
        change = swapped_gates(network, [*means])
    else:
        change = constant_gates(
            network, {gate: _constant(one, kind).to(device) for gate, one in means.items()}
        )
    with change:
        yield


def _constant(means: GateMeans, kind: Replacement) -> Tensor:
    by_kind = {
        Replacement.CHANNEL: means.channel,
        Replacement.SPATIAL: means.spatial,
        Replacement.WHOLE: means.whole,
    }
    return by_kind[kind]


def _twins(means: GateMeans) -> dict[Replacement, Replacement]:
    """Return by replacement the other one that has the same numbers, as of a gate without positions."""
    for kind in (Replacement.CHANNEL, Replacement.SPATIAL):
        if torch.allclose(_constant(means, kind).expand_as(means.whole), means.whole, rtol=SAME, atol=0):
            return {kind: Replacement.WHOLE}
    return {}
