"""The section on transfer is made from its record alone."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from synthetic_transfer import transfer_record, transfer_row

from foveate.evaluation.significance import Outcome
from foveate.records.files import read_record
from foveate.records.transfer import TransferRecord
from foveate.report.core.files import as_latex, as_markdown, as_svg
from foveate.report.core.section import Section
from foveate.report.transfer.section import transfer_section
from foveate.report.transfer.summary import TransferSummary, summarise_transfer

HERE = Path(__file__).parent
CLASSES = {"direct": ["car", "bird"]}
GAINS = {"none": 0.0, "se": 0.03, "ca": 0.0}
LEFT_OUT = ["classes without a match: 1 of the target (nail)."]


def content(
    ways: dict[str, dict[str, float]], seeds: int = 4, backbones: tuple[str, ...] = ("cifar_resnet8",)
) -> dict[str, Any]:
    """The JSON of a record in which each mechanism gains what `ways` says, with a little noise."""
    random = np.random.default_rng(3)
    levels = random.normal(0, 0.01, seeds)
    rows = []
    for backbone in backbones:
        for way, gains in ways.items():
            classes = CLASSES.get(way, ["car", "bird", "nail"])
            for label, gain in gains.items():
                for seed in range(seeds):
                    accuracy = 0.6 + levels[seed] + gain + random.normal(0, 0.002)
                    by_class = {name: accuracy + random.normal(0, 0.01) for name in classes}
                    rows.append(
                        transfer_row(
                            way, label, seed, accuracy, by_class=by_class, backbone=backbone, images=150
                        )
                    )
    return transfer_record(rows, "tiny", left_out=LEFT_OUT)


def summarise(record: dict[str, Any]) -> TransferSummary:
    return summarise_transfer(TransferRecord.model_validate(record))


def section_of(record: dict[str, Any]) -> Section:
    return transfer_section(TransferRecord.model_validate(record), Path())


def accuracies(record: dict[str, Any], way: str, label: str) -> list[float]:
    rows = [row for row in record["rows"] if (row["key"]["way"], row["key"]["label"]) == (way, label)]
    return [row["accuracy"] for row in rows]


def test_the_summary_is_that_of_foveate_0_1_0():
    record = read_record(HERE.parents[1] / "records" / "golden" / "transfer-study.json", TransferRecord)
    golden = json.loads((HERE.parent / "golden" / "transfer-study.summary.json").read_text())
    assert json.dumps(summarise_transfer(record).to_json()) == json.dumps(golden)


def test_the_same_difference_in_each_seed_is_not_tested():
    record = content({"probe": {"none": 0.0}})
    record["rows"] += [
        row | {"key": row["key"] | {"label": "se"}, "accuracy": row["accuracy"] + 0.05}
        for row in record["rows"]
    ]
    (way,) = summarise(record).ways
    tested = way.rows[1].against_baseline
    assert tested.test.difference == pytest.approx(0.05)
    assert (tested.test.p, tested.p_adjusted, tested.test.ci95) == (None, None, None)
    assert tested.outcome is Outcome.UNTESTED
    section = section_of(record)
    assert (
        "se: +5.00 points, the same difference in each seed: no spread to test against." in section.sentences
    )
    assert section.tables[0].rows[1][-1].detail == "no test: same in each seed"


def test_each_way_is_tested_against_plain_by_seed_and_all_are_one_family():
    record = content({"direct": GAINS, "probe": GAINS})
    summary = summarise(record)
    assert [way.way for way in summary.ways] == ["direct", "probe"]
    assert summary.comparisons == 4
    tested = []
    for way in summary.ways:
        assert [row.attention for row in way.rows] == ["none", "se", "ca"]
        assert way.rows[0].against_baseline is None
        for row in way.rows[1:]:
            pair = [accuracies(record, way.way, label) for label in (row.attention, "none")]
            assert row.against_baseline.test.p == pytest.approx(stats.ttest_rel(*pair).pvalue)
            assert row.against_baseline.p_adjusted >= row.against_baseline.test.p
            tested.append(row.against_baseline)
    smallest = min(tested, key=lambda one: one.test.p)
    assert smallest.p_adjusted == pytest.approx(4 * smallest.test.p)
    assert summary.ways[0].choices == ("car", "bird")
    assert summary.ways[0].chance == 0.5
    assert len(summary.ways[1].changes) == 6
    assert list(summary.left_out) == LEFT_OUT
    json.dumps(summary.to_json(), allow_nan=False)


def test_the_section_says_what_is_significant_and_what_is_not():
    record = content({"direct": GAINS}, seeds=6)
    se, ca = (row.against_baseline for row in summarise(record).ways[0].rows[1:])
    assert (se.outcome, ca.outcome) == (Outcome.BETTER, Outcome.NOT_SIGNIFICANT)
    section = section_of(record)
    text = " ".join(section.sentences)
    assert section.name == "transfer-tiny"
    assert section.title == "Transfer to tiny"
    assert "Directly, 2 answers to choose from and 150 images: the highest mean is that of se" in text
    assert "(guessing: 50.0 %)" in text
    assert f"se is better than the baseline by {100 * se.test.difference:.2f} points" in text
    assert "For ca the difference from the baseline is not significant" in text
    assert [row[-1].detail for row in section.tables[0].rows] == ["", "better", "not significant"]
    assert [figure.group for figure in section.figures] == ["transfer-tiny"] * 2
    assert [figure.name for figure in section.figures] == [
        "transfer_tiny_direct",
        "transfer_tiny_direct_classes",
    ]
    assert [table.name for table in section.tables] == ["transfer_tiny", "transfer_tiny_direct_classes"]
    assert set(section.numbers) == {"transfer_tiny", "transfer_tiny_classes"}
    for figure in section.figures:
        assert as_svg(figure).startswith("<svg")
    for table in section.tables:
        assert not re.search(r"\b(None|nan|inf)\b", as_markdown(table) + as_latex(table))
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_what_was_attached_is_compared_with_plain_fine_tuned():
    summary = summarise(content({"finetune": {"none": 0.0, "se": 0.0}, "attached": {"se": 0.05, "ca": 0.0}}))
    tuned, attached = summary.ways
    assert [row.attention for row in attached.rows] == ["none", "se", "ca"]
    assert attached.rows[0].accuracy == tuned.rows[0].accuracy
    assert attached.rows[1].against_baseline.test.difference == pytest.approx(0.05, abs=0.01)
    assert summary.comparisons == 3


def test_backbones_are_compared_within_themselves():
    record = content({"probe": GAINS}, backbones=("cifar_resnet8", "resnet18"))
    section = section_of(record)
    assert len(summarise(record).ways) == 2
    assert len({figure.name for figure in section.figures}) == 4
    assert section.tables[0].rows[-1][1].main == "linear probe (resnet18)"
    assert len({table.name for table in section.tables}) == 3


@pytest.mark.parametrize(
    ("ways", "seeds", "outcomes"),
    [
        ({"probe": GAINS}, 1, [None, Outcome.UNTESTED, Outcome.UNTESTED]),
        ({"probe": {"none": 0.0}}, 3, [None]),
        ({"probe": {"se": 0.0}}, 3, [None]),
    ],
    ids=["one seed", "baseline alone", "no baseline"],
)
def test_poor_records_have_a_section_too(ways, seeds, outcomes):
    record = content(ways, seeds=seeds)
    tested = [row.against_baseline for row in summarise(record).ways[0].rows]
    assert [one and one.outcome for one in tested] == outcomes
    section = section_of(record)
    text = " ".join(section.sentences) + "".join(map(as_markdown, section.tables))
    assert ("With one seed no test is possible." in section.sentences) == (seeds == 1)
    assert not re.search(r"\b(None|nan|inf)\b", text)
    for figure in section.figures:
        as_svg(figure)


def test_a_network_from_elsewhere_has_no_seed_and_no_test():
    record = content({"probe": {"none": 0.0, "se": 0.1}}, seeds=1)
    for row in record["rows"]:
        row["key"]["seed"] = None
    tested = summarise(record).ways[0].rows[1].against_baseline
    assert (tested.test.n, tested.p_adjusted, tested.outcome) == (1, None, Outcome.UNTESTED)


def test_numbers_are_flat_and_of_equal_keys():
    section = section_of(content({"direct": GAINS, "probe": GAINS}))
    for rows in section.numbers.values():
        assert len({tuple(row) for row in rows}) == 1
        assert not any(isinstance(value, dict | list) for row in rows for value in row.values())
