"""The record of what the networks of a study cost: cost.json."""

from pydantic import model_validator

from foveate.records.base import Count, Number, Record, Text
from foveate.records.dense import DenseRecord

__all__ = ["CostConditions", "CostRecord", "CostRow", "Timing"]


class CostConditions(Record):
    """The conditions of a measurement; under other conditions it is repeated.

    `backbone` is None if each candidate is a network of its own; `path` is the mechanisms' kernel path;
    `dense` is the detector or segmenter over the backbone, absent if there is none.
    """

    backbone: Text | None
    input: tuple[Count, ...]
    classes: Count
    device: Text
    path: Text
    dense: DenseRecord | None = None


class Timing(Record):
    """How latencies were measured; ratios are to `reference`, a label."""

    reference: Text
    rounds: Count
    cpu_share: Number | None


class CostRow(Record):
    """The measured costs of one candidate's network; a cost that was not measured is None or absent.

    Attributes:
        parameters: learned numbers.
        macs: multiply-adds of one image.
        latency_ms_p50: median time of one pass, in ms.
        latency_ms_p95: its 95th percentile, in ms.
        latency_ratio: median of the ratios to the reference within rounds.
        latency_ratio_ci95: its 95 % interval.
    """

    parameters: Count | None = None
    macs: Count | None = None
    latency_ms_p50: Number | None = None
    latency_ms_p95: Number | None = None
    latency_ratio: Number | None = None
    latency_ratio_ci95: tuple[Number, Number] | None = None


class CostRecord(Record):
    """OUT/cost.json, written by every study and read by its report: a row for each label.

    foveate 0.1.0 recorded no `timing`, and at first no `conditions`.
    """

    conditions: CostConditions | None = None
    batch_size: Count | None = None
    device: Text | None = None
    timing: Timing | None = None
    rows: dict[Text, CostRow]

    @model_validator(mode="after")
    def _check_reference(self) -> "CostRecord":
        if self.timing is not None and self.rows and self.timing.reference not in self.rows:
            raise ValueError(f"timing.reference is {self.timing.reference!r}, which has no row")
        return self
