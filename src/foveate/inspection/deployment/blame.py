"""Which layer a drop in int8 comes from: each part of the network is left in float32 in turn."""

from collections.abc import Callable, Iterator, Sequence

import onnx
from torch import Tensor

from foveate.inspection.deployment.forms import Deployed, logits_of
from foveate.inspection.images import ChosenImages
from foveate.models.export.onnx_file import onnx_runner
from foveate.models.export.parts import layers_of, stages_of
from foveate.models.export.precision import CALIBRATION_BATCH, quantised
from foveate.models.export.scopes import gate_operators, gate_paths
from foveate.models.sites.outputs import LOGITS
from foveate.records.deployment import EAGER, BlameKey, BlameRow, Form, PartInFloat
from foveate.records.labels import name_with_seed

__all__ = ["ATTENTION", "find_blame"]

ATTENTION = "attention"
"""The name of all gates together, as a part."""
MOST_LAYERS = 24
"""Of the stage that recovers most, at most this many layers are tried, those with the first operators."""


def find_blame(
    one: Deployed,
    form: Form,
    images: ChosenImages,
    key: BlameKey,
    on_share: Callable[[float], None] = lambda share: None,
) -> BlameRow:
    """Leave each stage of a network in float32 in turn, then each layer of the stage that recovers most.

    `images` are no test images. What recovers most has the highest accuracy, and where several have it, the
    logits that are nearest to those of eager float32.
    """
    content = one.built.content
    proto = onnx.load_from_string(content)
    paths = gate_paths(one.network)
    gates = gate_operators(proto, paths, name_with_seed(one.trained.label, one.trained.seed))
    expected, labels = logits_of(one.answerer(EAGER), one.trained, images)

    def in_int8(in_float: Sequence[str]) -> tuple[float, float]:
        kept = [*in_float] if form.gates == "int8" else [*gates, *in_float]
        written = quantised(proto, one.calibration.images, kept, CALIBRATION_BATCH)
        run = onnx_runner(written.SerializeToString(), [LOGITS])
        found, _ = logits_of(lambda some: run(some)[0], one.trained, images)
        return _accuracy(found, labels), (found - expected).square().mean().sqrt().item()

    stages = stages_of(content, set(gates))
    if form.gates == "int8" and gates:
        stages[ATTENTION] = gates
    base = in_int8([])
    tried = [_part(path, names, in_int8(names)) for path, names in _reported(stages, on_share, 0.0)]
    best = max(tried, key=_recovered)
    within = dict([*layers_of(content, stages[best.part]).items()][:MOST_LAYERS])
    layers = [_part(path, names, in_int8(names)) for path, names in _reported(within, on_share, 0.5)]
    return BlameRow(
        key=key,
        label=one.trained.label,
        seed=one.trained.seed,
        part_of_data=images.part,
        images=len(images),
        float_accuracy=_accuracy(expected, labels),
        int8_accuracy=base[0],
        int8_distance=base[1],
        stages=tuple(tried),
        layers=tuple(layers),
    )


def _reported(
    parts: dict[str, list[str]], on_share: Callable[[float], None], begun: float
) -> Iterator[tuple[str, list[str]]]:
    """Give the items of `parts`, and report the share that is done: half of the work, from `begun` on."""
    for done, item in enumerate(parts.items()):
        on_share(begun + 0.5 * done / len(parts))
        yield item


def _part(path: str, operators: list[str], scores: tuple[float, float]) -> PartInFloat:
    return PartInFloat(part=path, operators=len(operators), accuracy=scores[0], distance=scores[1])


def _recovered(part: PartInFloat) -> tuple[float, float]:
    return float(part.accuracy), -float(part.distance)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).double().mean())
