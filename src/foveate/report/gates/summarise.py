"""Makes the summary of a record of `foveate explain --gates`, by mechanism and gate."""

from collections.abc import Iterable, Sequence

from foveate.evaluation.gate_verdicts import Place, Tests, can_be_shown, judge_gates, judge_together
from foveate.evaluation.intervals import AMOUNT, SHARE, Bounds
from foveate.evaluation.statistics import Description, describe
from foveate.records.gates import GateRow, GatesRecord, SiteGate
from foveate.report.gates.summary import GatesSummary, GateSummary, MechanismGates

__all__ = ["summarise_gates"]


def summarise_gates(record: GatesRecord) -> GatesSummary:
    """Summarise a record by mechanism; see `judge_gates` for the tests."""
    by_label: dict[str, list[GateRow]] = {}
    means: dict[str, int] = {}
    for row in record.rows:
        by_label.setdefault(row.label, []).append(row)
        means[row.means_of] = max(row.mean_images, means.get(row.means_of, 0))
    margin = float(record.settings.margin)
    return GatesSummary(
        margin=margin,
        data=record.data,
        mean_images=means,
        rows=tuple(_mechanism(label, rows, margin) for label, rows in by_label.items()),
    )


def _mechanism(label: str, rows: Sequence[GateRow], margin: float) -> MechanismGates:
    gates: dict[Place, list[SiteGate]] = {}
    for row in rows:
        for gate in row.gates:
            gates.setdefault((gate.path, gate.factor), []).append(gate)
    tests = judge_gates(rows, margin)
    return MechanismGates(
        attention=label,
        runs=len(rows),
        accuracy=describe([float(row.accuracy) for row in rows], SHARE),
        gates=tuple(_gate(found, tests[place]) for place, found in gates.items()),
        can_be_shown=can_be_shown(rows, len(gates), margin),
        together=judge_together(rows, margin),
    )


def _gate(found: Sequence[SiteGate], tests: Tests) -> GateSummary:
    first = found[0]
    return GateSummary(
        site=first.site,
        path=first.path,
        factor=first.factor,
        mean=_describe((gate.mean for gate in found), None),
        between_images=_describe((gate.between_images for gate in found), AMOUNT),
        share=_describe((gate.share for gate in found), SHARE),
        channel_share=_describe((gate.channel_share for gate in found), SHARE),
        spatial_share=_describe((gate.spatial_share for gate in found), SHARE),
        tests=tests,
    )


def _describe(values: Iterable[float | None], bounds: Bounds | None) -> Description:
    return describe([value for value in values if value is not None], bounds)
