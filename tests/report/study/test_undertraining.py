"""Whether networks were trained long enough: the rule on known curves, and what the verdict says."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from synthetic_study import edit_json, epochs_of, run_record, write_study

from foveate.records.metric import CLASSIFICATION, Metric
from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.report.study.console import console_table
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.undertraining import guessing_sentence, is_still_improving

ACCURACY = CLASSIFICATION.primary
LOSS = Metric(name="loss", title="Loss", unit="number", higher_is_better=False, high=None)
IMPROVES = (
    "The baseline is still improving at the end of the training, so it is undertrained: differences may well "
    "change with longer training. Train longer before you add seeds."
)


def curves(ends: str, *, seeds: int = 3, epochs: int = 20, noise: float = 0.002) -> list[list[float]]:
    """Accuracies that rise to 0.8 in a line ("rising"), or within two thirds of the epochs ("flat")."""
    rng = np.random.default_rng(3)
    until = epochs if ends == "rising" else epochs * 2 // 3
    line = 0.2 + 0.6 * np.minimum(np.arange(epochs) / until, 1)
    return [list(line + rng.normal(0, noise, epochs)) for _ in range(seeds)]


def improves(runs: list[list[float]], metric: Metric = ACCURACY) -> bool | None:
    if metric is LOSS:
        return is_still_improving(
            [
                [
                    one.model_copy(update={"validation_loss": one.validation_accuracy})
                    for one in epochs_of(*run)
                ]
                for run in runs
            ],
            metric,
        )
    return is_still_improving([epochs_of(*run) for run in runs], metric)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("epochs", [4, 20, 100])
def test_a_line_to_the_end_is_still_improving_and_a_flat_end_is_not(seeds: int, epochs: int) -> None:
    assert improves(curves("rising", seeds=seeds, epochs=epochs)) is True
    assert improves(curves("flat", seeds=seeds, epochs=max(epochs, 15))) is False


def test_where_lower_is_better_a_falling_value_improves() -> None:
    rising, flat = curves("rising"), curves("flat")
    falling = [[1 - value for value in run] for run in rising]
    assert improves(falling, LOSS) is True
    assert improves(rising, LOSS) is False
    assert improves(falling) is False
    assert improves([[1 - value for value in run] for run in flat], LOSS) is False


def test_a_slope_within_the_noise_of_the_seeds_is_no_improvement() -> None:
    assert improves([[0.2, 0.5, 0.60, 0.62, 0.64], [0.2, 0.5, 0.60, 0.62, 0.64]]) is True
    assert improves([[0.2, 0.5, 0.60, 0.66, 0.72], [0.2, 0.5, 0.60, 0.58, 0.56]]) is False


def test_a_rise_that_is_sure_and_small_does_not_count() -> None:
    # Of a rise by 0.6, the second half of five epochs makes 0.012 (2 %), or 0.024 (4 %).
    assert improves([[0.2, 0.5, 0.788, 0.794, 0.8]]) is False
    assert improves([[0.2, 0.5, 0.776, 0.788, 0.8]]) is True


def test_too_few_epochs_say_nothing() -> None:
    assert improves([[0.5]]) is None
    assert improves([[0.4, 0.5]]) is None  # one line through two points, without an error
    assert improves([[0.4, 0.5], [0.3, 0.4]]) is True


def trained(folder: Path, *accuracies: float, label: str = "none", test: float | None = None) -> None:
    for seed in range(3):
        path = run_record(folder, label, seed)
        epochs = [one.to_json() for one in epochs_of(*accuracies, train_accuracy=0.5)]
        edit_json(path, epochs=epochs, best_epoch=len(epochs))
        if test is not None:
            scores = json.loads(path.read_text())["test"]
            edit_json(path, test=scores | {"accuracy": test})


def summary_of(folder: Path) -> Summary:
    return summarise(read_study(folder))


def test_the_verdict_says_that_the_baseline_is_still_improving(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=3)
    trained(tmp_path, 0.2, 0.4, 0.6, 0.8)
    trained(tmp_path, 0.2, 0.8, 0.8, 0.8, label="se")
    summary = summary_of(tmp_path)
    assert summary.verdict[1] == IMPROVES  # before the findings
    assert {row.attention: row.still_improving for row in summary.rows}["se"] is False
    trained(tmp_path, 0.2, 0.8, 0.8, 0.8)
    trained(tmp_path, 0.2, 0.4, 0.6, 0.8, label="se")
    assert IMPROVES not in summary_of(tmp_path).verdict


def test_without_a_baseline_the_candidates_that_improve_are_named(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=3, gains={"se": 0.0, "cbam": 0.01, "dmsca": 0.02})
    for label in ("se", "cbam"):
        trained(tmp_path, 0.2, 0.4, 0.6, 0.8, label=label)
    trained(tmp_path, 0.2, 0.8, 0.8, 0.8, label="dmsca")
    said = summary_of(tmp_path).verdict
    assert said[1] == (
        "se and cbam are still improving at the end of the training, so they are undertrained: "
        "differences may well change with longer training. Train longer before you add seeds."
    )


def test_the_verdict_says_that_the_baseline_is_not_above_chance(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=3, classes=["ants", "bees"])
    trained(tmp_path, 0.5, 0.5, 0.5, 0.5, test=0.51)
    said = summary_of(tmp_path).verdict
    assert said[1].startswith("The baseline is not above chance: 51.00 % of 72 answers are right")
    assert "which guessing (50.00 %) makes by chance, too" in said[1]
    trained(tmp_path, 0.5, 0.5, 0.5, 0.5, test=0.9)
    assert not [one for one in summary_of(tmp_path).verdict if "above chance" in one]


def test_chance_and_majority_stand_beside_the_accuracies(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=3, classes=["ants", "bees"])
    assert guessing_sentence(summary_of(tmp_path)) == (
        "Guessing gets 50.00 % (chance): the test part has as many images of each of the 2 classes."
    )
    edit_supports(tmp_path, ants=40, bees=60)
    summary = build_report(tmp_path)
    sentence = (
        "Guessing one of 2 classes gets 50.00 % (chance); always answering bees, the most frequent class of "
        "the test part, gets 60.00 %."
    )
    page = summary.report.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in page
    console = Console(file=io.StringIO(), width=400)
    console.print(console_table(summary))
    assert sentence in console.file.getvalue()  # type: ignore[attr-defined]
    assert summary.to_json()["guessing"] == {
        "chance": 0.5,
        "majority": 0.6,
        "majority_class": "bees",
        "images": 100,
    }


def edit_supports(folder: Path, **supports: int) -> None:
    """Give the classes of the first run, which stands for all, these numbers of test images."""
    path = run_record(folder, "none", 0)
    scores = json.loads(path.read_text())["test"]
    for of_class in scores["per_class"]:
        of_class["support"] = supports[of_class["class"]]
    edit_json(path, test=scores)
