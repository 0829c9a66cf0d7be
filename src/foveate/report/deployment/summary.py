"""The summary of a record of `foveate deploy`: accuracy, drop and latency of each mechanism in each form."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from foveate.evaluation.deployed import ADJUST, Answers, Drop, judge_drops
from foveate.evaluation.intervals import SHARE
from foveate.evaluation.significance import ALPHA
from foveate.evaluation.statistics import Description, describe
from foveate.records.base import JsonObject
from foveate.records.deployment import (
    EAGER,
    AccuracyRow,
    BlameRow,
    DeployedData,
    DeployedRecord,
    DeployedSettingsRecord,
    Form,
    LatencyRow,
    PartInFloat,
)

__all__ = ["Blame", "DeployedSummary", "FormSummary", "MechanismDeployed", "summarise_deployed"]


@dataclass(frozen=True)
class FormSummary:
    """A mechanism in one form.

    Attributes:
        accuracy: over the networks.
        drop: against eager float32; None of that itself.
        latency: of one network; None where it was not measured.
        bytes: of the file of one network; None of torch.
    """

    form: Form
    accuracy: Description
    drop: Drop | None
    latency: LatencyRow | None
    bytes: int | None

    def to_json(self) -> JsonObject:
        """Return the form as `--json` gives it."""
        latency = self.latency and {
            key: value for key, value in self.latency.to_json().items() if key not in ("key", "label", "seed")
        }
        return {
            "form": self.form.to_json(),
            "accuracy": asdict(self.accuracy),
            "drop": self.drop and self.drop.to_json(),
            "latency": latency,
            "bytes": self.bytes,
        }


@dataclass(frozen=True)
class Blame:
    """Where a drop comes from: the stage, and the layer in it, that recover most when left in float32."""

    row: BlameRow
    stage: PartInFloat
    layer: PartInFloat | None

    def to_json(self) -> JsonObject:
        """Return it as `--json` gives it."""
        layer = self.layer and self.layer.to_json()
        return {"seed": self.row.seed, "stage": self.stage.to_json(), "layer": layer}


@dataclass(frozen=True)
class MechanismDeployed:
    """A mechanism in all forms, eager float32 first."""

    attention: str
    runs: int
    forms: tuple[FormSummary, ...]
    blame: Blame | None

    def in_form(self, form: Form) -> FormSummary | None:
        """Return the mechanism in a form, if it was measured."""
        return next((one for one in self.forms if one.form == form), None)

    def to_json(self) -> JsonObject:
        """Return the mechanism as `--json` gives it."""
        return {
            "attention": self.attention,
            "runs": self.runs,
            "forms": [form.to_json() for form in self.forms],
            "blame": self.blame and self.blame.to_json(),
        }


@dataclass(frozen=True)
class DeployedSummary:
    """A record of `foveate deploy` in numbers; `calibrated_with` says which images gave int8 its ranges."""

    settings: DeployedSettingsRecord
    data: DeployedData
    calibrated_with: tuple[str, ...]
    rows: tuple[MechanismDeployed, ...]

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it."""
        return {
            "settings": self.settings.to_json(),
            "data": self.data.to_json(),
            "calibrated_with": list(self.calibrated_with),
            "statistics": {"alpha": ALPHA, "adjust": ADJUST, "interval": 0.95},
            "rows": [row.to_json() for row in self.rows],
        }


def summarise_deployed(record: DeployedRecord) -> DeployedSummary:
    """Summarise a record by mechanism and form; see `judge_drops` for the tests."""
    rows = record.accuracies
    eager = {row.key.name: row for row in rows if row.key.form == EAGER}
    labels = [*dict.fromkeys(row.label for row in rows)]
    forms: list[Form] = []
    for row in rows:
        if row.key.form not in forms:
            forms.append(row.key.form)
    drops = {form.name: _drops(form, rows, eager, labels) for form in forms if form != EAGER}
    calibrated = dict.fromkeys(row.calibrated_with for row in rows if row.calibrated_with is not None)
    return DeployedSummary(
        record.settings,
        record.data,
        tuple(calibrated),
        tuple(
            MechanismDeployed(
                label,
                sum(row.label == label for row in eager.values()),
                tuple(
                    _form(form, [row for row in rows if row.label == label], record.latencies, drops)
                    for form in forms
                ),
                _blame(record.blames, label),
            )
            for label in labels
        ),
    )


def _drops(
    form: Form, rows: Sequence[AccuracyRow], eager: dict[str, AccuracyRow], labels: Sequence[str]
) -> dict[str, Drop]:
    answers: dict[str, list[Answers]] = {label: [] for label in labels}
    for row in rows:
        if row.key.form == form and row.key.name in eager:
            answers[row.label].append((eager[row.key.name].answers, row.answers))
    return judge_drops({label: pairs for label, pairs in answers.items() if pairs})


def _form(
    form: Form,
    rows: Sequence[AccuracyRow],
    latencies: Sequence[LatencyRow],
    drops: dict[str, dict[str, Drop]],
) -> FormSummary:
    of_form = [row for row in rows if row.key.form == form]
    names = {row.key.name for row in of_form}
    return FormSummary(
        form,
        describe([float(row.accuracy) for row in of_form], SHARE),
        drops.get(form.name, {}).get(rows[0].label),
        next((one for one in latencies if one.key.form == form and one.key.name in names), None),
        next((row.bytes for row in of_form), None),
    )


def _blame(blames: Sequence[BlameRow], label: str) -> Blame | None:
    row = next((one for one in blames if one.label == label), None)
    if row is None or not row.stages:
        return None
    return Blame(row, max(row.stages, key=_recovered), max(row.layers, key=_recovered, default=None))


def _recovered(part: PartInFloat) -> tuple[float, float]:
    return float(part.accuracy), -float(part.distance)
