import json
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

from foveate.report.core.files import as_latex, as_markdown, as_svg
from foveate.report.transfer.section import summarise_transfer, transfer_section

CLASSES = {"direct": ["car", "bird"], "probe": ["car", "bird", "nail"], "finetune": ["car", "bird", "nail"]}
GAINS = {"none": 0.0, "se": 0.03, "ca": 0.0}


def transfer_record(
    ways: dict[str, dict[str, float]], seeds: int = 4, backbones: tuple[str, ...] = ("cifar_resnet8",)
) -> dict[str, Any]:
    random = np.random.default_rng(3)
    levels = random.normal(0, 0.01, seeds)
    rows = []
    for backbone in backbones:
        for way, gains in ways.items():
            classes = CLASSES.get(way, CLASSES["finetune"])
            for label, gain in gains.items():
                for seed in range(seeds):
                    accuracy = 0.6 + levels[seed] + gain + random.normal(0, 0.002)
                    per_class = [
                        {"class": name, "accuracy": accuracy + random.normal(0, 0.01), "support": 50}
                        for name in classes
                    ]
                    key = {"way": way, "label": label, "seed": seed, "backbone": backbone}
                    values = {"accuracy": accuracy, "loss": 1 - accuracy, "ece": 0.05, "images": 150}
                    chance = 1 / len(classes)
                    rows.append({"key": key, **values, "chance": chance, "per_class": per_class})
    return {
        "format": 1,
        "kind": "transfer-tiny",
        "data": {"name": "tiny"},
        "rows": rows,
        "kept": [],
        "left_out": ["classes without a match: 1 of the target (nail)."],
        "warnings": [],
    }


def values(record: dict[str, Any], way: str, label: str) -> list[float]:
    return [
        row["accuracy"] for row in record["rows"] if row["key"]["way"] == way and row["key"]["label"] == label
    ]


def test_the_same_difference_in_each_seed_is_not_tested():
    record = transfer_record({"probe": {"none": 0.0}})
    rows = record["rows"]
    rows += [
        row | {"key": row["key"] | {"label": "se"}, "accuracy": row["accuracy"] + 0.05} for row in [*rows]
    ]
    (way,) = summarise_transfer(record)["ways"]
    test = way["rows"][1]["test"]
    assert test["difference"] == pytest.approx(0.05)
    assert (test["p"], test["p_adjusted"], test["ci95"]) == (None, None, None)
    section = transfer_section(record)
    assert (
        "se: +5.00 points, the same difference in each seed: no spread to test against." in section.sentences
    )
    assert "no test: same in each seed" in as_markdown(section.tables[0])


def test_each_way_is_tested_against_plain_by_seed_and_all_are_one_family():
    record = transfer_record({"direct": GAINS, "probe": GAINS})
    summary = summarise_transfer(record)
    assert [way["way"] for way in summary["ways"]] == ["direct", "probe"]
    assert summary["comparisons"] == 4
    raw = []
    for way in summary["ways"]:
        assert [row["attention"] for row in way["rows"]] == ["none", "se", "ca"]
        assert way["rows"][0]["test"] is None
        for row in way["rows"][1:]:
            pair = [values(record, way["way"], label) for label in (row["attention"], "none")]
            assert row["test"]["p"] == pytest.approx(stats.ttest_rel(*pair).pvalue)
            assert row["test"]["p_adjusted"] >= row["test"]["p"]
            raw.append(row["test"])
    smallest = min(raw, key=lambda test: test["p"])
    assert smallest["p_adjusted"] == pytest.approx(4 * smallest["p"])
    assert summary["ways"][0]["choices"] == ["car", "bird"]
    assert summary["ways"][0]["chance"] == 0.5
    assert len(summary["ways"][1]["changes"]) == 6
    assert summary["left_out"] == record["left_out"]
    json.dumps(summary, allow_nan=False)


def test_the_section_says_what_is_shown_and_what_is_not():
    section = transfer_section(transfer_record({"direct": GAINS}, seeds=6))
    text = " ".join(section.sentences)
    assert section.name == "transfer-tiny"
    assert section.title == "Transfer to tiny"
    assert "Directly, 2 answers to choose from and 150 images: the highest mean is that of se" in text
    assert "(guessing: 50.0 %)" in text
    assert re.search(r"se is better than plain by 2\.\d\d points|se is better than plain by 3\.\d\d", text)
    assert "For ca no difference from plain was shown" in text
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
    record = transfer_record({"finetune": {"none": 0.0, "se": 0.0}, "attached": {"se": 0.05, "ca": 0.0}})
    summary = summarise_transfer(record)
    tuned, attached = summary["ways"]
    assert [row["attention"] for row in attached["rows"]] == ["none", "se", "ca"]
    assert attached["rows"][0]["accuracy"] == tuned["rows"][0]["accuracy"]
    assert attached["rows"][1]["test"]["difference"] == pytest.approx(0.05, abs=0.01)
    assert summary["comparisons"] == 3


def test_backbones_are_compared_within_themselves():
    record = transfer_record({"probe": GAINS}, backbones=("cifar_resnet8", "resnet18"))
    section = transfer_section(record)
    assert len(summarise_transfer(record)["ways"]) == 2
    assert len({figure.name for figure in section.figures}) == 4
    assert "linear probe (resnet18)" in as_markdown(section.tables[0])
    assert len({table.name for table in section.tables}) == 3


@pytest.mark.parametrize(
    ("ways", "seeds", "said"),
    [
        ({"probe": GAINS}, 1, "With one seed no test is possible."),
        ({"probe": {"none": 0.0}}, 3, "the highest mean is that of plain"),
        ({"probe": {"se": 0.0}}, 3, "the highest mean is that of se"),
    ],
    ids=["one seed", "plain alone", "no plain"],
)
def test_poor_records_have_a_section_too(ways, seeds, said):
    section = transfer_section(transfer_record(ways, seeds=seeds))
    text = " ".join(section.sentences) + "".join(map(as_markdown, section.tables))
    assert said in text
    assert not re.search(r"\b(None|nan|inf)\b", text)
    for figure in section.figures:
        as_svg(figure)


def test_a_network_from_elsewhere_has_no_seed_and_no_test():
    record = transfer_record({"probe": {"none": 0.0, "se": 0.1}}, seeds=1)
    for row in record["rows"]:
        row["key"]["seed"] = None
    summary = summarise_transfer(record)
    assert summary["ways"][0]["rows"][1]["test"]["n"] == 1
    assert summary["ways"][0]["rows"][1]["test"]["p_adjusted"] is None


def test_numbers_are_flat_and_of_equal_keys():
    section = transfer_section(transfer_record({"direct": GAINS, "probe": GAINS}))
    for rows in section.numbers.values():
        assert len({tuple(row) for row in rows}) == 1
        assert not any(isinstance(value, dict | list) for row in rows for value in row.values())
