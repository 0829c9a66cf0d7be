"""The robustness section from synthetic records, with numbers worked out by hand."""

import copy
import inspect
import json
from pathlib import Path

import pytest

from foveate.data.corruptions import CORRUPTIONS
from foveate.evaluation.significance import Outcome
from foveate.records.files import read_record
from foveate.records.metric import DETECTION
from foveate.records.robustness import ATTACKS, COMMON, RobustnessRecord
from foveate.records.severities import DEFINITIONS, SEVERITIES
from foveate.report.core.files import as_latex, as_markdown, as_svg
from foveate.report.core.section import Section
from foveate.report.robustness.legend import ATTACK_WORDS, CORRUPTION_WORDS, SETS
from foveate.report.robustness.section import robustness_section
from foveate.report.robustness.summarise import summarise_robustness
from foveate.report.robustness.summary import MechanismSummary, RobustnessSummary
from foveate.report.sections import read_examined

RECORDS = Path(__file__).parents[2] / "records" / "golden"
SUMMARIES = Path(__file__).parent / "golden"


def row(name, corruption, severity, accuracy, ece=0.1):
    key = {"network": name, "digest": "0", "corruption": corruption, "severity": severity}
    return {"key": key, "accuracy": accuracy, "loss": 1.0, "ece": ece, "images": 100}


def attacked(name, attack, eps, accuracy):
    key = {"network": name, "digest": "0", "attack": attack, "eps": eps}
    return {"key": key, "accuracy": accuracy, "loss": 1.0, "ece": 0.1, "images": 20}


def record_of(networks, rows):
    return {
        "format": 1,
        "foveate": "0",
        "kind": "robustness",
        "command": "foveate robustness",
        "environment": {},
        "settings": {},
        "data": {"name": "shapes"},
        "networks": [
            {"name": name, "label": label, "seed": seed, "backbone": "resnet18"}
            for name, label, seed in networks
        ],
        "left_out": [],
        "warnings": [],
        "rows": rows,
        "kept": [],
    }


def study(seeds=3, labels=("none", "se"), corruptions=("fog", "snow"), severities=(1, 2), gain=0.05):
    """Plain: 80 % clean, 60 % and 50 % in fog, 40 % and 30 % in snow; SE `gain` more, spread over seeds."""
    networks, rows = [], []
    for seed in range(seeds):
        for number, label in enumerate(labels):
            name = f"{label}{seed}"
            networks.append((name, label, seed))
            more = number * (gain + 0.002 * seed)
            rows.append(row(name, "clean", None, 0.8 + 0.001 * seed, 0.02))
            for place, corruption in enumerate(corruptions):
                rows += [
                    row(name, corruption, s, 0.7 - 0.1 * s - 0.2 * (place % 2) + more, 0.1 * s)
                    for s in severities
                ]
    return record_of(networks, rows)


def summarise(content: dict) -> RobustnessSummary:
    return summarise_robustness(RobustnessRecord.model_validate(content))


def section_of(content: dict) -> Section:
    return robustness_section(RobustnessRecord.model_validate(content))


def one(summary: RobustnessSummary, label: str = "se") -> MechanismSummary:
    return next(found for found in summary.rows if found.attention == label)


@pytest.mark.parametrize("name", ["robustness.json", "robustness-prepared.json"])
def test_a_summary_has_the_keys_and_values_that_it_had(name):
    """golden/ has what `--json` gave of these records before they were typed."""
    summary = summarise_robustness(read_record(RECORDS / name, RobustnessRecord))
    content = json.dumps(summary.to_json(), allow_nan=False)
    # Sums of floats depend on the machine in their last digit.
    new, old = (
        json.loads(text, parse_float=lambda number: f"{float(number):.9g}")
        for text in (content, (SUMMARIES / name).read_text(encoding="utf-8"))
    )
    assert json.dumps(new) == json.dumps(old)


def test_mean_corruption_error_by_hand():
    summary = summarise(study(seeds=1))
    # Errors of plain: fog 0.4 + 0.5, snow 0.6 + 0.7; SE has 0.05 less each. (0.8 / 0.9 + 1.2 / 1.3) / 2.
    assert one(summary).mce.mean == pytest.approx((0.8 / 0.9 + 1.2 / 1.3) / 2)
    # What is lost to 0.8: plain fog 0.2 + 0.3, snow 0.4 + 0.5; SE 0.1 less each sum.
    assert one(summary).relative_mce.mean == pytest.approx((0.4 / 0.5 + 0.8 / 0.9) / 2)
    assert one(summary, "none").mce.mean == one(summary, "none").relative_mce.mean == 1
    assert one(summary).corrupted.mean == pytest.approx((0.6 + 0.5 + 0.4 + 0.3) / 4 + 0.05)
    assert one(summary).beside.mean == pytest.approx(0.15)
    assert [found.score.mean for found in summary.by_severity[:3]] == pytest.approx([0.8, 0.5, 0.4])
    assert [found.beside.mean for found in summary.by_severity[:3]] == pytest.approx([0.02, 0.1, 0.2])


def detection(clean: float, corrupted: float) -> dict:
    """Two detectors of a seed each, SE with 0.1 more on the corrupted images, under all 15 corruptions."""
    names = [("none0", "none", 0), ("se0", "se", 0)]
    record = record_of(names, []) | {"task": DETECTION.to_json()}
    for name, more in (("none0", 0.0), ("se0", 0.1)):
        record["rows"].append(dense_row(name, "clean", None, clean))
        record["rows"] += [
            dense_row(name, kind, level, corrupted + more) for kind in COMMON for level in (1, 2, 3, 4, 5)
        ]
    return record


def dense_row(name: str, corruption: str, severity: int | None, score: float) -> dict:
    key = {"network": name, "digest": "0", "corruption": corruption, "severity": severity}
    return {"key": key, "scores": {"map": score, "map50": score}, "images": 100}


def test_a_detection_has_what_it_keeps_in_place_of_errors():
    record = detection(0.5, 0.2)
    summary = summarise(record)
    assert one(summary, "none").rpc.mean == pytest.approx(0.2 / 0.5)
    assert one(summary).rpc.mean == pytest.approx(0.3 / 0.5)
    assert one(summary).mce.is_empty
    section = section_of(record)
    assert section.sentences[0].startswith(
        "On 100 images of shapes under 15 corruptions in 5 severities, with the baseline at 20.0 %: "
        "se (+10.00 points, +0.00 on clean images). "
    )
    assert section.sentences[1] == (
        "Relative performance under corruption (rPC), as a share of the clean mAP: the baseline 40.0 % and "
        "se 60.0 %."
    )
    titles = [column.title for column in section.tables[0].columns]
    assert titles[1:3] + titles[5:] == ["Clean mAP, %", "mPC, %", "rPC, %", "mAP50, %"]
    json.dumps(section.summary, allow_nan=False)
    for figure in section.figures:
        as_svg(figure)


def test_a_detector_that_finds_nothing_keeps_nothing():
    record = detection(0.0, 0.0)
    assert one(summarise(record)).rpc.is_empty
    said = section_of(record).sentences
    assert "Of the baseline and se, networks that score 0 on clean images have nothing to keep." in said
    assert not any(sentence.startswith("Hardest") for sentence in said)


def test_tests_are_paired_by_seed_and_adjusted():
    record = study()
    summary = summarise(record)
    (test,) = summary.tests
    assert test.test.difference == pytest.approx(0.052)  # the mean of 0.05, 0.052, 0.054
    assert test.test.n == 3
    assert test.test.p < 0.001
    assert test.p_adjusted == pytest.approx(test.test.p)
    assert test.outcome is Outcome.BETTER
    single = [found.test for found in summary.by_corruption if found.test]
    assert [found.p_adjusted for found in single] == pytest.approx([2 * found.test.p for found in single])
    assert {found.outcome for found in single} == {Outcome.BETTER}
    shuffled = copy.deepcopy(record)
    shuffled["networks"].reverse()
    shuffled["rows"].reverse()
    assert summarise(shuffled).tests[0].test.difference == pytest.approx(0.052)


def test_with_all_fifteen_the_mean_is_over_these():
    record = study(corruptions=COMMON, severities=(1, 2, 3, 4, 5))
    record["rows"] += [row(name, "noise_15", None, 0.1) for name in ("none0", "se0")]
    summary = summarise(record)
    assert summary.standard
    assert summary.averaged == COMMON
    assert summary.corruptions[-1] == "noise_15"
    said = section_of(record).sentences
    assert any(sentence.startswith("Mean corruption error relative to the baseline") for sentence in said)


def test_a_shown_gain_comes_first():
    said = section_of(study()).sentences
    assert said[0] == (
        "On 100 images of shapes under 2 corruptions in 2 severities, with the baseline at 45.0 %: "
        "se (+5.20 points, +0.00 on clean images) is shown to be better than the baseline."
    )
    assert "Error relative to the baseline, where under 100 % is better: se 90.2 %." in said
    assert "Hardest for the baseline is snow (35.0 %), mildest fog (55.0 %)." in said
    assert any(
        sentence.startswith("Of 2 comparisons") and "2 are significant" in sentence for sentence in said
    )
    assert (
        "The calibration error of the baseline goes from 2.0 % on clean images to 20.0 % at severity 2."
        in said
    )


def test_no_effect_is_said_to_be_none():
    record = study()
    for number, found in enumerate(record["rows"]):
        found["accuracy"] = 0.5 + 0.01 * ((7 * number + number // 9) % 5)
    assert [test.outcome for test in summarise(record).tests] == [Outcome.NOT_SIGNIFICANT]
    section = section_of(record)
    assert "no mechanism is shown to keep more accuracy than the baseline" in section.sentences[0]
    assert section.tables[0].rows[1][4].detail == "not significant"


def test_the_same_difference_in_each_seed_is_not_tested():
    record = study()
    for found in record["rows"]:
        if found["key"]["corruption"] != "clean":
            found["accuracy"] = 0.65 if found["key"]["network"].startswith("se") else 0.6
    summary = summarise(record)
    (test,) = summary.tests
    assert test.test.difference == pytest.approx(0.05)
    assert (test.test.p, test.p_adjusted, test.test.ci95) == (None, None, None)
    assert test.outcome is Outcome.UNTESTED
    assert "the same difference in each seed: no spread to test against" in section_of(record).sentences[0]


def test_one_seed_is_not_tested():
    (test,) = summarise(study(seeds=1)).tests
    assert (test.p_adjusted, test.outcome) == (None, Outcome.UNTESTED)
    assert "nothing can be tested" in section_of(study(seeds=1)).sentences[0]


def test_without_plain_nothing_is_compared():
    record = study(labels=("se", "eca"))
    summary = summarise(record)
    assert summary.tests == ()
    assert one(summary).mce.mean is None
    section = section_of(record)
    assert "nothing is compared" in section.sentences[0]
    for figure in section.figures:
        as_svg(figure)


@pytest.mark.parametrize("label", ["none", "se"])
def test_a_single_network_without_a_seed(label):
    record = record_of([("mine", label, None)], [row("mine", "clean", None, 0.8), row("mine", "fog", 3, 0.6)])
    section = section_of(record)
    assert "60.0 %" in section.sentences[0]
    assert {table.name for table in section.tables} == {
        *("robustness", "robustness_corruptions", "robustness_conditions")
    }
    for figure in section.figures:
        as_svg(figure)


def test_noise_alone_has_no_severities():
    record = record_of([("a", "none", 0)], [row("a", "clean", None, 0.8), row("a", "noise_15", None, 0.6)])
    section = section_of(record)
    assert [figure.name for figure in section.figures] == ["robustness_corruptions"]
    assert "noise, σ = 15" in as_markdown(section.tables[1])


def test_a_network_left_out_halfway_has_no_mean():
    record = study()
    record["rows"] = [
        found
        for found in record["rows"]
        if not (found["key"]["network"] == "se2" and found["key"]["corruption"] == "snow")
    ]
    summary = summarise(record)
    assert len(one(summary).corrupted.values) == 2
    assert summary.tests[0].test.n == 2
    fog = [found for found in summary.by_corruption if found.corruption == "fog"]
    assert fog[1].test.test.n == 3
    section_of(record)


def test_conditions_without_images_are_left_open():
    record = study(seeds=2)
    for found in record["rows"]:
        if found["key"]["corruption"] == "snow":
            found |= {"accuracy": None, "loss": None, "ece": None, "images": 0}
    section = section_of(record)
    assert "no network has been measured to the end" in section.sentences[0]
    for figure in section.figures:
        as_svg(figure)


def test_a_plain_that_loses_nothing_has_no_relative_error():
    record = study(seeds=1)
    for found in record["rows"]:
        found["accuracy"] = 1.0
    assert one(summarise(record)).mce.mean is None
    assert one(summarise(record)).relative_mce.mean is None


def test_the_mean_corruption_error_is_over_all_five_severities():
    record = study(seeds=2, corruptions=COMMON, severities=(3,))
    summary = summarise(record)
    assert summary.averaged == COMMON
    assert not summary.standard
    section = section_of(record)
    assert any(sentence.startswith("Error relative to the baseline") for sentence in section.sentences)
    assert "Error relative to the baseline, %" in [column.title for column in section.tables[0].columns]
    full = section_of(study(seeds=2, corruptions=COMMON, severities=(1, 2, 3, 4, 5)))
    assert "mCE, %" in [column.title for column in full.tables[0].columns]


def test_both_differences_are_of_the_same_seeds():
    accuracies = {"none0": 0.5, "none1": 0.5, "none2": 0.9, "se0": 0.5, "se1": 0.5}
    rows = [row(name, *place, a) for name, a in accuracies.items() for place in (("clean", None), ("fog", 1))]
    record = record_of([(name, name[:-1], int(name[-1])) for name in accuracies], rows)
    assert "se (+0.00 points, +0.00 on clean images, by 2 seeds in common)" in section_of(record).sentences[0]


def test_what_is_not_finished_is_said_and_left_out():
    record = study() | {"conditions": [["fog", 1], ["fog", 2], ["snow", 1], ["snow", 2]]}
    whole = summarise(record)
    assert whole.corruptions == ("fog", "snow")
    record["rows"] = [
        found
        for found in record["rows"]
        if (found["key"]["corruption"], found["key"]["severity"]) != ("snow", 2)
    ]
    summary = summarise(record)
    assert summary.corruptions == summary.averaged == ("fog",)
    assert one(summary, "none").corrupted.mean == pytest.approx(0.55)
    section = section_of(record)
    assert section.sentences[0].startswith(
        "This is unfinished: 3 of 4 conditions were measured; the same command resumes it."
    )
    assert "under 1 corruption in 2 severities" in section.sentences[1]
    record["rows"] = record["rows"][:1]
    assert "0 of 4 conditions" in section_of(record).sentences[0]


def test_attacks_that_are_missing_are_counted():
    record = study(seeds=1) | {"settings": {"attacks": ["fgsm", "pgd"], "eps": [1.0, 8.0]}}
    record["rows"].append(attacked("se0", "fgsm", 1.0, 0.5))
    assert "1 of 8 attacks were made" in section_of(record).sentences[0]


def test_images_of_a_prepared_set_are_counted_and_named():
    record = study(seeds=1)
    record["data"] |= {"prepared": "sets/CIFAR-10-C"}
    for found in record["rows"]:
        if found["key"]["corruption"] != "clean":
            found["images"] = 6 if found["key"]["corruption"] == "fog" else 5
    record["rows"] += [row(name, "noise_15", None, 0.5) for name in ("none0", "se0")]
    record["rows"][-1]["images"] = record["rows"][-2]["images"] = 6
    said = section_of(record).sentences
    assert said[0].startswith(
        "On 5 to 6 images of the prepared set CIFAR-10-C under 2 corruptions in 2 severities and noise of "
        "σ = 15, "
    )
    assert "Accuracy on clean images is of 100 images of shapes." in said
    assert "Noise of a stated σ is made here, on images of shapes." in said
    assert any(sentence.endswith("at severity 2, without noise of a stated σ.") for sentence in said)


def test_differences_that_agree_exactly_are_said_to_be_untested():
    record = study(labels=("none", "se", "eca"))
    for found in record["rows"]:
        if found["key"]["network"].startswith("se") and found["key"]["corruption"] != "clean":
            place = found["key"]["corruption"], found["key"]["severity"]
            found["accuracy"] = 0.25 + 0.7 - 0.1 * place[1] - 0.2 * (place[0] == "snow")
    said = section_of(record).sentences
    assert any(sentence.startswith("se could not be tested against the baseline: ") for sentence in said)
    assert any(
        sentence.startswith("2 comparisons by single corruptions could not be tested") for sentence in said
    )
    record["networks"] = [found for found in record["networks"] if found["label"] != "eca"]
    assert "Nothing could be tested: " in section_of(record).sentences[0]


def test_seeds_without_a_relative_error_are_counted():
    record = study()
    for found in record["rows"]:
        if found["key"]["network"] == "none2" and found["key"]["corruption"] == "fog":
            found["accuracy"] = 0.9
    assert any(
        sentence.startswith("The loss relative to the baseline is known of 2 of 3 networks of se: ")
        for sentence in section_of(record).sentences
    )


def test_the_legend_names_what_has_points():
    against, alone = (
        next(figure for figure in section_of(record).figures if figure.name == "robustness_corruptions")
        for record in (study(), study(labels=("se", "eca")))
    )
    names = [
        {
            tuple(layer["encoding"]["color"]["scale"]["domain"])
            for layer in figure.spec["layer"]
            if "color" in layer["encoding"]
        }
        for figure in (against, alone)
    ]
    assert names == [{("se",)}, {("se", "eca")}]


def test_attacks_have_a_table_and_a_sentence():
    record = study(seeds=2)
    for seed in range(2):
        for label in ("none", "se"):
            record["rows"].append(attacked(f"{label}{seed}", "none", None, 0.8))
            record["rows"].append(attacked(f"{label}{seed}", "pgd", 2.0, 0.25 + 0.1 * (label == "se")))
    section = section_of(record)
    assert section.sentences[-1] == "The attack PGD at ε = 2/255 leaves the baseline 25.0 % and se 35.0 %."
    table = next(one for one in section.tables if one.name == "robustness_attacks")
    assert [column.title for column in table.columns] == ["Mechanism", "Clean, %", "PGD, ε = 2/255, %"]
    assert [cell.main for cell in table.rows[1]] == ["se", "80.0 ± 0.0", "35.0 ± 0.0"]
    assert len(section.numbers["robustness_attacks"]) == 8


def test_every_condition_has_its_key_its_words_and_its_strengths():
    record = study(corruptions=("fog", "snow", "noise_15"), severities=(1, 3))
    record["rows"] = [
        one
        for one in record["rows"]
        if one["key"]["corruption"] != "noise_15" or one["key"].update(severity=None) is None
    ]
    record["rows"] += [attacked("se0", "pgd", eps, 0.5) for eps in (None, 8.0, 1.0)]
    record["data"]["image_size"] = 32
    table = section_of(record).tables[-1]
    assert table.name == "robustness_conditions"
    assert [column.title for column in table.columns[3:]] == ["Severity 1", "Severity 3"]
    assert "CIFAR-10-C was made with, for images of 32 px" in table.columns[2].note
    clean, fog, snow, noise, pgd = table.rows
    assert [row[0].detail for row in table.rows] == ["clean", "fog", "snow", "noise_15", "pgd"]
    assert [cell.main for cell in fog[2:]] == ["thickness; smoothness of the cloud", "0.2; 3", "0.75; 2.5"]
    assert snow[4].main == "0.15; 0.3; 1.75; 0.55; 10; 4; 0.9"
    assert "15 grey levels of 255, 0.059 of the range" in noise[1].main
    assert "here 1/255 and 8/255" in pgd[1].main
    assert [cell.main for row in (clean, noise, pgd) for cell in row[2:]] == ["–"] * 9


def test_strengths_that_are_not_known_are_not_stated():
    for change in (
        {"settings": {"prepared": "sets/cifar-c"}},
        {"data": {"name": "shapes"}},
    ):
        table = section_of(study() | {"data": {"name": "shapes", "image_size": 32}} | change).tables[-1]
        assert [column.title for column in table.columns] == ["Condition", "What is done to an image"]
    older = study() | {"data": {"name": "shapes", "image_size": 32}}
    for one in older["rows"]:
        one["key"]["definitions"] = DEFINITIONS - 1
    assert len(section_of(older).tables[-1].columns) == 2


@pytest.mark.parametrize("name", COMMON)
def test_the_words_of_a_corruption_name_all_of_its_strengths(name):
    _, strengths = CORRUPTION_WORDS[name]
    arguments = [*inspect.signature(CORRUPTIONS[name]).parameters]
    assert len(strengths) == len(arguments[2:])
    for published in SEVERITIES:
        assert {len(values) for values in SEVERITIES[published][name]} == {len(strengths)}
    assert SETS.keys() == SEVERITIES.keys()


def test_every_attack_has_words():
    assert ATTACK_WORDS.keys() == set(ATTACKS)


def test_attacks_alone_are_a_section():
    record = record_of([("a", "se", None)], [row("a", "clean", None, 0.8), attacked("a", "fgsm", 1.0, 0.4)])
    section = section_of(record)
    assert section.sentences == ["The attack FGSM at ε = 1/255 leaves se 40.0 %."]
    assert section.figures == []


def test_nothing_measured_is_said():
    assert section_of(record_of([("a", "se", None)], [])).sentences == ["Nothing could be measured."]


def test_the_numbers_are_json_and_the_rows_are_kept_as_measured():
    record = study()
    section = section_of(record)
    json.dumps(section.summary, allow_nan=False)
    assert section.numbers["robustness"][0] == {
        "attention": "none",
        "seed": 0,
        "network": "none0",
        "corruption": "clean",
        "severity": None,
        "accuracy": 0.8,
        "loss": 1.0,
        "ece": 0.02,
        "images": 100,
    }
    assert len(section.numbers["robustness"]) == len(record["rows"])


def test_figures_and_tables_are_drawn_without_a_warning():
    section = section_of(study(corruptions=COMMON, labels=("none", "se", "dmsca(reduction=8)")))
    assert [figure.name for figure in section.figures] == [
        "robustness_accuracy",
        "robustness_ece",
        "robustness_corruptions",
    ]
    for figure in section.figures:
        assert figure.group == section.name
        assert "<svg" in as_svg(figure)
    for table in section.tables:
        written = "elastic" if table.name == "robustness_conditions" else "dmsca"
        assert written in as_markdown(table)
        assert written in as_latex(table)


def test_the_record_is_read_as_a_section(tmp_path: Path):
    path = tmp_path / "robustness.json"
    path.write_text(json.dumps(study()))
    examined = read_examined(path)
    assert isinstance(examined.record, RobustnessRecord)
    assert examined.section.title == "Robustness"
    assert examined.summary["images"] == 100
