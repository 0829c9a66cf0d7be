"""What the report says of how trainings went: fluctuation, waiting, learned numbers by layer."""

import csv
import json
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from synthetic_study import edit_json, epochs_of, run_record, write_study

from foveate.records.metric import CLASSIFICATION
from foveate.records.run import waiting_share
from foveate.records.study import read_study
from foveate.report.core.files import as_svg
from foveate.report.study.build import build_report
from foveate.report.study.dynamics import epochs_to_95, fluctuation
from foveate.report.study.dynamics_charts import DEPTHS, learned_figures
from foveate.report.study.summarise import summarise
from foveate.report.study.tables import training_table

LAYERS = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1)]


ACCURACY = CLASSIFICATION.primary


def dynamic_study(folder: Path, **options: Any) -> Path:
    """A study whose runs waited for 10 % (none) or 30 % (dmsca) of the time; dmsca has learned τ."""
    write_study(folder, gains={"none": 0.0, "dmsca": 0.02}, **options)
    for path in folder.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        dmsca = result["spec"]["attention"]["label"] == "dmsca"
        for row in result["epochs"]:
            row["input_share"] = 0.3 if dmsca else 0.1
            if dmsca:
                taus = {
                    layer: {"tau": 1 + place + 0.1 * row["epoch"] + result["spec"]["seed"]}
                    for place, layer in enumerate(LAYERS)
                }
                row["learned"] = taus
        edit_json(path, epochs=result["epochs"])
    return folder


def test_a_negative_last_value_is_reached_at_the_end():
    signed = ACCURACY.model_copy(update={"low": None})
    assert epochs_to_95(epochs_of(-0.5, -0.3, -0.2), signed) == 3


def test_fluctuation_is_that_of_the_last_tenth():
    assert fluctuation(epochs_of(*[0.1] * 27, 0.8, 0.9, 0.85), ACCURACY) == pytest.approx(
        stdev([0.8, 0.9, 0.85])
    )
    assert fluctuation(epochs_of(*[0.1] * 13, 0.8, 0.9), ACCURACY) == pytest.approx(
        stdev([0.8, 0.9])
    )  # of 15: two
    assert fluctuation(epochs_of(*[0.1] * 10), ACCURACY) is None
    assert fluctuation(epochs_of(0.5), ACCURACY) is None


def test_waiting_is_the_mean_over_the_epochs_that_have_it_recorded():
    assert waiting_share(epochs_of(0.5, 0.6, input_share=0.25)) == 0.25
    epochs = epochs_of(0.5, input_share=0.1) + epochs_of(0.5, input_share=0.4) + epochs_of(0.5)
    assert waiting_share(epochs) == pytest.approx(0.25)
    assert waiting_share(epochs_of(0.5)) is None


def test_the_training_table_has_them(tmp_path):
    summary = summarise(read_study(dynamic_study(tmp_path, seeds=3)))
    baseline, dmsca = summary.rows
    assert (baseline.input_share.mean, dmsca.input_share.mean) == pytest.approx((0.1, 0.3))
    assert len(baseline.fluctuation.values) == 3
    table = training_table(summary)
    titles = [column.title for column in table.columns]
    assert titles[2:4] == ["Fluctuation, points", "Waiting for images, %"]
    assert [row[3].main for row in table.rows] == ["10.0 ± 0.0", "30.0 ± 0.0"]
    assert table.rows[0][2].main == (
        f"{100 * baseline.fluctuation.mean:.2f} ± {100 * baseline.fluctuation.std:.2f}"
    )


def test_records_without_them_have_dashes(tmp_path):
    summary = summarise(read_study(write_study(tmp_path, gains={"none": 0.0}, seeds=2, epochs=8)))
    (row,) = training_table(summary).rows
    assert [cell.main for cell in row[2:4]] == ["–", "–"]


def test_learned_numbers_are_drawn_by_layer_from_shallow_to_deep(tmp_path):
    records = read_study(dynamic_study(tmp_path, seeds=3))
    (figure,) = learned_figures(records)
    assert (figure.name, figure.group) == ("learned_tau_1", "curves")
    assert figure.title == "Temperature τ by layer: dmsca"
    (line,) = figure.spec["layer"]
    values = figure.spec["data"]["values"]
    assert len(values) == 6 * 12
    # Place 1, epoch 3, the mean of seeds 0, 1 and 2.
    assert {"layer": "layer1.1", "epoch": 3, "mean": 1 + 1 + 0.3 + 1} in values
    scale = line["encoding"]["color"]["scale"]
    assert scale["domain"] == LAYERS
    ends = ["#" + "".join(f"{channel:02x}" for channel in colour) for colour in (DEPTHS[0], DEPTHS[2])]
    assert [scale["range"][0], scale["range"][-1]] == ends
    assert len(set(scale["range"])) == 6
    assert figure.description.endswith(
        "After the last epoch: "
        + ", ".join(f"{layer} {3.2 + place:.3g}" for place, layer in enumerate(LAYERS))
        + "."
    )
    assert as_svg(figure).startswith("<svg")


def test_modules_that_all_layers_lie_in_are_not_repeated_in_the_legend(tmp_path):
    folder = dynamic_study(tmp_path, seeds=1)
    path = run_record(folder, "dmsca", 0)
    layers = {"backbone.body.layer1.0": {"tau": 1.0}, "backbone.body.layer2.1": {"tau": 0.5}}
    epochs = json.loads(path.read_text())["epochs"]
    edit_json(path, epochs=[row | {"learned": layers} for row in epochs])
    (figure,) = learned_figures(read_study(folder))
    (line,) = figure.spec["layer"]
    assert line["encoding"]["color"]["scale"]["domain"] == ["layer1.0", "layer2.1"]


def test_a_single_layer_is_drawn_too(tmp_path):
    folder = dynamic_study(tmp_path, seeds=1)
    path = run_record(folder, "dmsca", 0)
    epochs = json.loads(path.read_text())["epochs"]
    edit_json(path, epochs=[row | {"learned": {"features.3": {"tau": 1.0}}} for row in epochs])
    (figure,) = learned_figures(read_study(folder))
    assert "NaN" not in as_svg(figure)


def test_the_report_has_the_figure_and_the_numbers(tmp_path):
    folder = dynamic_study(tmp_path, seeds=2)
    # A run of an earlier version, which recorded neither.
    path = run_record(folder, "none", 0)
    earlier = [
        {key: value for key, value in row.items() if key != "input_share"}
        for row in json.loads(path.read_text())["epochs"]
    ]
    edit_json(path, epochs=earlier)
    build_report(folder)
    report = folder / "report"
    assert (report / "figures" / "learned_tau_1.svg").is_file()
    assert "Temperature τ by layer: dmsca" in (report / "index.html").read_text(encoding="utf-8")
    with (report / "learned.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 12 * 6
    assert rows[0] == {
        **{"attention": "dmsca", "seed": "0", "epoch": "1"},
        **{"site": "layer1.0", "number": "tau", "value": "1.1"},
    }
    with (report / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert "learned" not in curves[0]
    assert [curves[i]["input_share"] for i in (0, 12, 24)] == ["", "0.1", "0.3"]
