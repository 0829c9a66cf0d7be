"""The record of a profile: the costs of each mechanism and the baseline, counted and measured in one run."""

from typing import Literal, NamedTuple

from foveate.records.base import Count, Number, Record, Switch, Text
from foveate.records.dense import DenseRecord
from foveate.records.energy import EnergyAccount, EnergyFigures
from foveate.records.environment import Environment

__all__ = [
    "AddedCost",
    "MeasuredBounds",
    "MemoryAccount",
    "ProfileRecord",
    "ProfileRow",
    "ProfileSettingsRecord",
    "ProfileTiming",
    "ProfileWarning",
    "Roofline",
    "RuntimeRow",
]

Interval = tuple[Number, Number]


class ProfileSettingsRecord(Record):
    """The settings of the command; `path` is the kernel path of the mechanisms.

    `dense` is the detector or segmenter over the backbone; it is written only where there is one, and
    `energy` where it was asked for. The last four are written only with a runtime beside torch: `precision`
    are those of its files, and `calibrated_with` says which images gave int8 its ranges.
    """

    backbone: Text
    attention: tuple[Text, ...]
    image_size: Count
    channels: Count
    classes: Count
    batch_size: Count
    device: Text
    dtype: Text
    memory_format: Text
    mode: Literal["inference", "training"]
    compile: Switch
    graph: Switch
    path: Text
    threads: Count
    detail: Switch
    seconds: Number
    replace_own: Switch = False
    dense: DenseRecord | None = None
    energy: Switch = False
    runtime: tuple[Text, ...] = ()
    precision: tuple[Text, ...] = ()
    quantise_gates: Switch = False
    calibrated_with: Text | None = None


class ProfileTiming(Record):
    """How latencies were measured.

    Attributes:
        rounds: number of rounds, in each of which every network takes a turn.
        steps_per_time: steps in one measured time.
        warm_up: steps before any is timed.
        clock: "device events" or "wall clock".
        cpu_share: share of the time for which this thread had a core; None if it is unknown.
        plain_one_thread_ms: a step of the baseline with one thread, if several are slow; None otherwise.
    """

    rounds: Count
    steps_per_time: Count
    warm_up: Count
    clock: Text
    cpu_share: Number | None = None
    plain_one_thread_ms: Number | None = None


class MemoryAccount(Record):
    """The source of the memory figures; None if memory was not measured."""

    account: Text | None


class MeasuredBounds(Record):
    """The two measured bounds of the machine, in FLOP/s and bytes/s, and the sizes of these measurements."""

    flops: Number
    bandwidth: Number
    matrix_side: Count
    array_bytes: Count


class Roofline(Record):
    """The shortest times that the added work of a batch allows on this machine, and the distance from them.

    Attributes:
        bound: the bound that takes longer.
        memory_ms: time to move the added bytes.
        arithmetic_ms: time to do the added operations.
        added_over_bound: the added time over the longer of the two; None if there is no added work.
        least_reads_writes: reads and writes of its map that the mechanism needs; None if unknown.
        least_bytes: bytes of these reads and writes.
        least_ms: time of these reads and writes.
        added_over_least: the added time over `least_ms`.
    """

    bound: Literal["memory", "arithmetic"]
    memory_ms: Number
    arithmetic_ms: Number
    added_over_bound: Number | None
    least_reads_writes: tuple[Count, Count] | None
    least_bytes: Number | None
    least_ms: Number | None
    added_over_least: Number | None


class AddedCost(NamedTuple):
    """A kind of cost of a network, and its increase over the baseline; None if it was not measured."""

    value: float | None
    added: float | None
    increase_percent: float | None


class ProfileRow(Record):
    """The figures of one network beside those of the baseline.

    Work is per image; latency and memory are per step of the whole batch. `peak_bytes` is the memory that
    this network alone has allocated at the peak of a step. Ratios are to the baseline within rounds. `energy`
    is written only where it was measured.
    """

    attention: Text
    sites: Count
    parameters: Number
    parameters_added: Number
    parameters_increase_percent: Number | None
    macs: Number
    macs_added: Number
    macs_increase_percent: Number | None
    element_wise: Number
    element_wise_added: Number
    element_wise_increase_percent: Number | None
    bytes_moved: Number
    bytes_moved_added: Number
    bytes_moved_increase_percent: Number | None
    peak_bytes: Number | None
    peak_bytes_added: Number | None
    peak_bytes_increase_percent: Number | None
    held_bytes: Count = 0
    step_peak_bytes: Count | None = None
    latency_ms_p50: Number
    latency_ms_p95: Number
    latency_ratio: Number
    latency_ratio_quartiles: Interval
    latency_ratio_ci95: Interval | None
    latency_added_ms: Number
    images_per_second: Number
    roofline: Roofline | None
    paths: dict[Text, Count]
    compile_seconds: Number | None
    parts_ms: dict[Text, Number] | None
    energy: EnergyFigures | None = None

    def cost(self, kind: str) -> AddedCost:
        """Return a kind of cost: parameters, macs, element_wise, bytes_moved or peak_bytes."""
        return AddedCost(
            getattr(self, kind), getattr(self, f"{kind}_added"), getattr(self, f"{kind}_increase_percent")
        )

    @property
    def is_different(self) -> bool:
        """Whether the latency differs from the baseline's: the interval of the ratio excludes 1."""
        bounds = self.latency_ratio_ci95
        return bounds is not None and not bounds[0] <= 1 <= bounds[1]

    @property
    def is_rough(self) -> bool:
        """Whether the ratio spreads more between rounds than it differs from 1."""
        low, high = self.latency_ratio_quartiles
        return high - low > abs(self.latency_ratio - 1)

    @property
    def is_doubtful(self) -> bool:
        """Whether the difference from the baseline cannot be relied on."""
        return not self.is_different or self.is_rough


class RuntimeRow(Record):
    """The latency of one network that is exported and run by another runtime, in turns with all others.

    Attributes:
        runtime: "onnxruntime" or "openvino".
        precision: "fp32", "fp16" or "int8".
        gates: the precision of its attention, "fp32" or "int8"; None where there is none, and but for int8.
        bytes: of the file.
        eager_ratio: to the same network run by torch, in float32, within rounds.
        latency_ratio: to the baseline in the same runtime and precision, within rounds.
        energy: absent where it was not measured.
    """

    attention: Text
    runtime: Text
    precision: Text
    gates: Text | None
    bytes: Count
    latency_ms_p50: Number
    latency_ms_p95: Number
    eager_ratio: Number
    eager_ratio_quartiles: Interval
    eager_ratio_ci95: Interval | None
    latency_ratio: Number
    latency_ratio_quartiles: Interval
    latency_ratio_ci95: Interval | None
    energy: EnergyFigures | None = None


class ProfileWarning(Record):
    """A reason to doubt the figures of one mechanism, or all figures if `attention` is None."""

    attention: Text | None
    text: Text


class ProfileRecord(Record):
    """profile.json, written and read by `foveate profile`; the first row is the baseline.

    `runtime_rows` are written only where another runtime was measured, `energy` only where it was asked for.
    """

    format: Count
    foveate: Text
    settings: ProfileSettingsRecord
    command: Text
    environment: Environment
    timing: ProfileTiming
    memory: MemoryAccount
    machine: MeasuredBounds
    rows: tuple[ProfileRow, ...]
    runtime_rows: tuple[RuntimeRow, ...] = ()
    energy: EnergyAccount | None = None
    warnings: tuple[ProfileWarning, ...] = ()

    @property
    def baseline(self) -> ProfileRow:
        """The row of the network without attention."""
        return self.rows[0]

    def arithmetic_share(self, row: ProfileRow) -> float:
        """Return the rate of a network's multiply-adds as a share of the measured arithmetic bound."""
        operations = 2 * row.macs * self.settings.batch_size
        return float(operations / (row.latency_ms_p50 / 1e3) / self.machine.flops)
