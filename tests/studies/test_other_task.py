"""A study of a made-up task whose primary metric is an error: lower is better in every sign and word."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from foveate.data import Data
from foveate.evaluation.comparisons import compare_candidates
from foveate.evaluation.significance import Outcome
from foveate.records.metric import Metric, TaskRecord
from foveate.records.run import Scores
from foveate.records.study import StudyRecords, read_study
from foveate.report.study.build import build_report
from foveate.report.study.summary import Summary
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import RunSpec
from foveate.tasks import TASKS, Task, TaskSettings
from foveate.tasks.classification import Classification, ClassificationSteps, CorrectTally
from foveate.tasks.processes import ALONE, Processes
from foveate.tasks.task import Batch, TaskResult

RECORD = TaskRecord(
    name="made-up",
    metrics=(
        Metric(name="error", title="Error", higher_is_better=False),
        Metric(name="loss", title="Loss", unit="number", higher_is_better=False, high=None, digits=3),
    ),
)


class MadeUpSteps(ClassificationSteps):
    """Classification told by its share of wrong answers, and by no score for each class."""

    task = RECORD

    def tally(self) -> "ErrorTally":
        return ErrorTally()

    def test(self, network: nn.Module, batches: Iterable[Batch], **options: Any) -> TaskResult:
        tested = super().test(network, batches, **options)
        assert tested.scores.accuracy is not None
        scores = {"error": 1 - tested.scores.accuracy, "loss": tested.scores.loss}
        return replace(tested, scores=Scores.model_validate(scores))


class ErrorTally(CorrectTally):
    def value(self, processes: Processes) -> float | None:
        accuracy = super().value(processes)
        return None if accuracy is None else 1 - accuracy


class MadeUp:
    record = RECORD

    def steps(self, settings: TaskSettings, data: Data) -> MadeUpSteps:
        made = Classification().steps(settings, data)
        return MadeUpSteps(settings, made.prepare, made.classes)


@pytest.fixture(scope="module")
def study(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyRecords:
    """The baseline and SE on three seeds, trained for the made-up task; what SE gets wrong is then set."""
    out = tmp_path_factory.mktemp("studies") / "made-up"
    settings = {"data": str(bands), "backbone": "cifar_resnet8", "attention": "none,se", "seeds": 3}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, RECORD.name, MadeUp())
        asked = make_study(settings, {"epochs": 2, "batch_size": 16, "augmentation": ()})
        compare(asked.model_copy(update={"task": RECORD.name}), out, Machine("cpu"))
    return read_study(out)


def with_errors(study: StudyRecords, errors: dict[str, list[float]]) -> StudyRecords:
    """The study as it would be with these errors on the test part."""
    results = {
        label: {
            seed: run.model_copy(update={"test": run.test.model_copy(update={"error": errors[label][seed]})})
            for seed, run in of_label.items()
        }
        for label, of_label in study.results.items()
    }
    return StudyRecords(study.folder, study.study, results, study.cost, study.missing)


def test_its_records_name_the_task_and_its_runs_the_metric(study: StudyRecords) -> None:
    assert study.study.task == RECORD
    assert study.missing == ()
    for run in study.results["se"].values():
        assert RunSpec.model_validate(run.spec | {"attention": {"name": "se"}}).task == RECORD.name
        assert 0 <= run.test.value(RECORD.primary) <= 1
        assert run.test.per_class == ()
        best = min(run.epochs, key=lambda epoch: (epoch.validation(RECORD.primary), epoch.validation_loss))
        assert run.best_epoch == best.epoch


def test_a_classification_names_no_task(trained_bands: Path) -> None:
    study = read_study(trained_bands).study
    assert "task" not in study.to_json()
    run = read_study(trained_bands).results["se"][0]
    assert "task" not in run.spec


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([0.21, 0.205, 0.211], Outcome.BETTER),
        ([0.39, 0.405, 0.391], Outcome.WORSE),
        ([0.1, 0.5, 0.31], Outcome.INCONCLUSIVE),
    ],
    ids=str,
)
def test_the_outcome_has_the_sign_of_the_metric(
    study: StudyRecords, errors: list[float], outcome: Outcome
) -> None:
    (found,) = compare_candidates(with_errors(study, {"none": [0.3, 0.3, 0.302], "se": errors}))
    assert (found.a, found.b, found.outcome) == ("none", "se", outcome)
    assert found.gain == pytest.approx(-found.test.difference)


def report(study: StudyRecords, errors: list[float]) -> Summary:
    from foveate.report.study.summarise import summarise

    return summarise(with_errors(study, {"none": [0.3, 0.3, 0.302], "se": errors}))


def test_the_verdict_takes_the_smaller_error_for_the_better_one(study: StudyRecords) -> None:
    assert report(study, [0.21, 0.205, 0.211]).verdict[0].startswith("Take se")
    worse = " ".join(report(study, [0.39, 0.405, 0.391]).verdict)
    assert "se is worse than" in worse
    assert "better than" not in worse.replace("was shown to be better than", "")


def test_a_page_is_built_and_speaks_of_the_error(study: StudyRecords) -> None:
    summary = build_report(study.folder)
    assert summary.metric == RECORD.primary
    assert set(summary.rows[0].scores) == {"error", "loss"}
    page = summary.report.read_text(encoding="utf-8")
    assert "Error, %" in page
    said = page.partition("<script")[0].replace("<dd>accuracy</dd>", "")  # the recipe's word for the metric
    assert "accuracy" not in said.lower()
    figures = {path.stem for path in (study.folder / "report" / "figures").glob("*.svg")}
    assert {"curve_validation_error", "curve_train_error"} <= figures


def test_the_task_is_one() -> None:
    made: Task = MadeUp()
    tally = ErrorTally()
    tally.add(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    assert made.record.primary.name == "error"
    assert tally.value(ALONE) == 0.5
