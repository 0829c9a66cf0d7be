"""The record of `foveate deploy`: networks as they are deployed, beside themselves in eager float32."""

import base64
from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag

from foveate.records.base import Count, Number, Record, Switch, Text
from foveate.records.examination import ExaminationRecord, Key, Row

__all__ = [
    "DEPLOYED",
    "EAGER",
    "AccuracyKey",
    "AccuracyRow",
    "BlameKey",
    "BlameRow",
    "DeployedData",
    "DeployedRecord",
    "DeployedRow",
    "DeployedSettingsRecord",
    "Form",
    "LatencyKey",
    "LatencyRow",
    "PartInFloat",
    "pack_answers",
]

DEPLOYED = "deployed"
"""The kind of the record; its file is deployed.json."""

Interval = tuple[Number, Number]


class Form(Record):
    """How a network is run.

    Attributes:
        runtime: "torch", "onnxruntime" or "openvino".
        precision: "fp32", "fp16" or "int8".
        gates: the precision of attention in int8, "fp32" or "int8"; absent otherwise.
        calibration_images: the number asked for, of int8; absent otherwise.
    """

    runtime: Text
    precision: Text
    gates: Text | None = None
    calibration_images: Count | None = None

    @property
    def name(self) -> str:
        """The runtime and the precision, as tables name them; of int8 with its gates where they are int8."""
        runtime = "eager" if self.runtime == "torch" else self.runtime
        return f"{runtime} {self.precision}{', gates too' * (self.gates == 'int8')}"


EAGER = Form(runtime="torch", precision="fp32")
"""What every other form is compared with."""


class DeployedSettingsRecord(Record):
    """The settings of the command.

    Attributes:
        precision: of the files.
        margin: drop in accuracy, a share of the images, beyond which a layer is looked for.
        limit: largest number of test images; None: all.
        threads: of torch and of the runtime while latency is measured.
    """

    runtime: tuple[Text, ...]
    precision: tuple[Text, ...]
    calibration_images: Count
    quantise_gates: Switch
    margin: Number
    limit: Count | None
    threads: Count
    seconds: Number


class DeployedData(Record):
    """The test images."""

    name: Text
    fingerprint: Text
    images: Count


class AccuracyKey(Key):
    """Everything that decides the answers of a network in one form.

    Attributes:
        digest: of its weights.
        data: fingerprint of the images.
        limit: largest number of test images.
        definitions: version of the definitions.
    """

    name: Text = Field(alias="network")
    digest: Text
    form: Form
    data: Text
    limit: Count | None
    definitions: Count


class AccuracyRow(Row):
    """What a network answers in one form.

    Attributes:
        accuracy: share of the images that are given their class.
        lost: images that eager float32 gives their class, and this form another.
        gained: the other way round.
        right: which images are given their class: bits, packed as numpy does, in base64.
        bytes: of the file; absent for torch.
        calibrated_with: which images gave int8 its ranges.
    """

    key: AccuracyKey
    label: Text
    seed: Count | None
    accuracy: Number
    images: Count
    lost: Count
    gained: Count
    right: Text
    bytes: Count | None = None
    calibrated_with: Text | None = None

    @property
    def answers(self) -> np.ndarray:
        """Which images are given their class, bool (N,)."""
        bits = np.frombuffer(base64.b64decode(self.right), dtype=np.uint8)
        return np.unpackbits(bits, count=self.images).astype(bool)


def pack_answers(right: np.ndarray) -> str:
    """Write bool (N,) as `AccuracyRow.right` holds it."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


class LatencyKey(Key):
    """Everything that decides the latency of a network in one form.

    Attributes:
        processor: that it was measured on.
        turns: a hash of all networks and forms that took turns.
    """

    name: Text = Field(alias="network")
    digest: Text
    form: Form
    shape: tuple[Count, ...]
    threads: Count
    processor: Text
    turns: Text


class LatencyRow(Row):
    """The time of one image in one form, in turns with all others.

    Attributes:
        eager_ratio: to the same network in eager float32, within rounds.
        baseline_ratio: to the baseline in the same form; None without a baseline.
        cpu_share: share of the time for which the measuring thread had a core.
        rounds: number of rounds.
    """

    key: LatencyKey
    label: Text
    seed: Count | None
    p50: Number
    p95: Number
    eager_ratio: Number
    eager_ratio_ci95: Interval | None
    baseline_ratio: Number | None
    baseline_ratio_ci95: Interval | None
    rounds: Count
    cpu_share: Number | None


class BlameKey(Key):
    """Everything that decides which layer a drop comes from.

    Attributes:
        data: fingerprint of the images.
        images: largest number of images that are not test images.
        definitions: version of the definitions.
    """

    name: Text = Field(alias="network")
    digest: Text
    form: Form
    data: Text
    images: Count
    definitions: Count


class PartInFloat(Record):
    """The accuracy with one part of the network left in float32.

    Attributes:
        part: the path of a module; "attention" for all gates.
        operators: the number of its operators.
        distance: root mean square difference of the logits from those of eager float32.
    """

    part: Text
    operators: Count
    accuracy: Number
    distance: Number


class BlameRow(Row):
    """One network in int8, with each of its parts left in float32 in turn.

    Attributes:
        part_of_data: "validation" or "training", whose images these are; never test images.
        float_accuracy: of eager float32.
        int8_accuracy: with every part in int8, and `int8_distance` of the logits.
        stages: parts of the network, from the first to the last.
        layers: those of the stage that recovers most.
    """

    key: BlameKey
    label: Text
    seed: Count | None
    part_of_data: Text
    images: Count
    float_accuracy: Number
    int8_accuracy: Number
    int8_distance: Number
    stages: tuple[PartInFloat, ...]
    layers: tuple[PartInFloat, ...]


def _kind_of_row(row: Any) -> str:
    if isinstance(row, Row):
        kinds: dict[type[Row], str] = {LatencyRow: "latency", BlameRow: "blame"}
        return kinds.get(type(row), "accuracy")
    own = row if isinstance(row, dict) else {}
    return "latency" if "p50" in own else "blame" if "stages" in own else "accuracy"


DeployedRow = Annotated[
    Annotated[AccuracyRow, Tag("accuracy")]
    | Annotated[LatencyRow, Tag("latency")]
    | Annotated[BlameRow, Tag("blame")],
    Discriminator(_kind_of_row),
]
"""A row of the record: the answers of a network in a form, its latency, or where its drop comes from."""


class DeployedRecord(ExaminationRecord[DeployedRow]):
    """deployed.json, written by `foveate deploy` and read by its report."""

    settings: DeployedSettingsRecord
    data: DeployedData

    @property
    def accuracies(self) -> list[AccuracyRow]:
        """The rows of answers."""
        return [row for row in self.rows if isinstance(row, AccuracyRow)]

    @property
    def latencies(self) -> list[LatencyRow]:
        """The rows of latencies."""
        return [row for row in self.rows if isinstance(row, LatencyRow)]

    @property
    def blames(self) -> list[BlameRow]:
        """The rows of parts left in float32."""
        return [row for row in self.rows if isinstance(row, BlameRow)]
