"""The section on where networks look is made from its record alone."""

import json
from pathlib import Path

import pytest
from PIL import Image

from foveate.evaluation.significance import Outcome
from foveate.records.explain import SCORES, ExplainRecord
from foveate.records.files import read_record
from foveate.report.core.section import Section
from foveate.report.explain.section import explain_section
from foveate.report.explain.summary import ExplainSummary, summarise_explain
from foveate.report.explain.tables import NOTES

HERE = Path(__file__).parent


def score(mean, **other):
    return {"mean": mean, "std": 0.1, "ci95": [mean - 0.01, mean + 0.01], "n": 100, "undefined": 0} | other


def row(label, seed, scores, learned=None):
    key = {"network": f"digest of {label}{seed}", "name": f"{label}{seed}", "backbone": "cifar_resnet8"}
    key |= {"method": "gradcam++", "layer": "layer3.0", "images": "fingerprint"}
    return {
        "key": key | {"limit": 100, "road": 100, "batch_size": 50, "definitions": 2},
        "label": label,
        "seed": seed,
        "backbone": "cifar_resnet8",
        "layer": "layer3.0",
        "scores": {name: score(mean) for name, mean in scores.items()},
        "learned": learned or {},
    }


SEEDS = [
    (0, {"focus_ratio": 0.500, "road": 0.10}, {"focus_ratio": 0.600, "road": 0.11}, 0.9),
    (1, {"focus_ratio": 0.510, "road": 0.12}, {"focus_ratio": 0.611, "road": 0.10}, 1.1),
    (2, {"focus_ratio": 0.490, "road": 0.11}, {"focus_ratio": 0.589, "road": 0.13}, 1.0),
]


def summarise(record: dict) -> ExplainSummary:
    return summarise_explain(ExplainRecord.model_validate(record))


def section_of(record: dict, folder: Path = Path()) -> Section:
    return explain_section(ExplainRecord.model_validate(record), folder)


@pytest.fixture
def record():
    about = {"about": "100 of the 200 test images of small", "fingerprint": "fingerprint", "images": 100}
    settings = {"method": "gradcam++", "layer": None, "road_images": 100, "road_shares": [0.1, 0.5, 0.9]}
    return {
        **{"format": 1, "foveate": "0.1.0", "kind": "explain", "command": "", "environment": {}},
        "settings": settings | {"views": ["mirrored"], "pointing_tolerance": 1, "batch_size": 50},
        "data": about | {"with_object": 90, "left_out": 0},
        "networks": [],
        "left_out": [],
        "warnings": [],
        "pictures": [{"title": "Where", "description": "In words.", "file": "explain/grid.png"}],
        "rows": [
            one
            for seed, plain, dmsca, tau in SEEDS
            for one in (
                row("dmsca", seed, dmsca, {"layer1.0": {"tau": tau}}),
                row("none", seed, plain),
            )
        ],
    }


def test_the_summary_is_that_of_foveate_0_1_0():
    record = read_record(HERE.parents[1] / "records" / "golden" / "explain-study.json", ExplainRecord)
    golden = json.loads((HERE.parent / "golden" / "explain-study.summary.json").read_text())
    assert json.dumps(summarise_explain(record).to_json()) == json.dumps(golden)


def test_the_same_difference_in_each_seed_is_not_tested(record):
    for one in record["rows"]:
        if one["label"] == "dmsca":
            one["scores"]["focus_ratio"]["mean"] = [0.6, 0.61, 0.59][one["seed"]]
            del one["scores"]["road"]
    (tested,) = summarise(record).tests
    assert tested.test.difference == pytest.approx(0.1)
    assert (tested.test.p, tested.p_adjusted, tested.test.ci95) == (None, None, None)
    assert tested.outcome is Outcome.UNTESTED
    finding = section_of(record).sentences[0]
    assert "the same difference in each seed: no spread to test against" in finding


@pytest.mark.parametrize(("name", "values"), [("view_consistency", (0.99, 0.7)), ("road", (0.49, 0.3))])
def test_the_interval_of_a_score_stays_within_its_bounds(record, name, values):
    record["rows"] = [row("none", seed, {name: value}) for seed, value in enumerate(values)]
    low, high = summarise(record).rows[0].scores[name].description.ci95
    assert SCORES[name].low < low < high < SCORES[name].high


def test_scores_are_means_over_seeds_plain_first(record):
    summary = summarise(record)
    assert [one.attention for one in summary.rows] == ["none", "dmsca"]
    assert summary.scores == ("focus_ratio", "road")
    plain = summary.rows[0].scores["focus_ratio"]
    assert plain.description.mean == pytest.approx(0.5)
    assert plain.description.std == pytest.approx(0.01)
    assert (plain.n, plain.over, plain.undefined) == (3, "seeds", 0)


def test_tests_are_paired_by_seed_and_adjusted_together(record):
    focus, road = summarise(record).tests
    assert (focus.score, focus.a, focus.b, focus.test.n) == ("focus_ratio", "none", "dmsca", 3)
    assert focus.test.difference == pytest.approx(0.1)
    assert focus.p_adjusted == pytest.approx(2 * focus.test.p)
    assert road.p_adjusted == road.test.p > 0.5
    assert [focus.outcome, road.outcome] == [Outcome.BETTER, Outcome.NOT_SIGNIFICANT]


def test_the_finding_names_what_is_significant_and_what_is_not(record):
    said = section_of(record).sentences
    assert said[0] == (
        "Of 2 comparisons with the baseline, adjusted for their number, 1 is significant: the focus ratio of "
        "dmsca is 0.100 higher (better). The other 1 is not significant."
    )
    assert "Grad-CAM++ at layer3.0" in said[1]
    assert "with a known object" in said[1]
    for one in record["rows"]:
        one["scores"].pop("focus_ratio")
    assert section_of(record).sentences[0] == (
        "In ROAD, no mechanism differs significantly from the baseline (1 comparison with the baseline, "
        "adjusted for their number)."
    )


@pytest.mark.parametrize(
    ("name", "said", "cell"),
    [
        ("noise_suppression", "0.100 higher (worse)", "worse"),
        ("class_consistency", "0.100 higher.", "higher"),
    ],
)
def test_a_higher_score_is_worse_or_neither(record, name, said, cell):
    for one in record["rows"]:
        one["scores"] = {name: one["scores"]["focus_ratio"]}
    section = section_of(record)
    assert said in section.sentences[0]
    assert section.tables[1].rows[0][4].detail == cell


def test_one_seed_is_no_test_and_its_interval_is_over_images(record):
    record["rows"] = record["rows"][:2]
    record["rows"][0]["seed"] = record["rows"][1]["seed"] = None
    section = section_of(record)
    assert section.sentences[0].startswith("Nothing is tested in focus ratio and ROAD.")
    (scores, learned) = section.tables
    assert scores.rows[0][1] == ("0.500", "0.490 to 0.510")
    assert (scores.name, learned.name) == ("explain_scores", "explain_learned")
    assert summarise(record).rows[0].scores["road"].over == "images"


WHY = {
    "no baseline": (
        [("dmsca", 0), ("dmsca", 1), ("se", 0)],
        "There is no baseline among them to compare with.",
    ),
    "no shared seeds": (
        [("none", 0), ("none", 1), ("dmsca", 1), ("dmsca", 2)],
        "No mechanism has two seeds in common with the baseline.",
    ),
    "one of each": (
        [("none", 0), ("se", 0)],
        "One network of each is no sample of trainings: intervals are over images alone.",
    ),
    "no baseline, one of each": (
        [("dmsca", 0), ("se", 0)],
        "There is no baseline among them to compare with: intervals are over images alone.",
    ),
    "one network": ([("se", 0)], "There is one network: intervals are over images alone."),
    "one mechanism": ([("se", 0), ("se", 1)], "There is one mechanism alone."),
}


@pytest.mark.parametrize(("networks", "said"), WHY.values(), ids=WHY.keys())
def test_the_reason_why_nothing_is_tested_is_the_true_one(record, networks, said):
    record["rows"] = [row(label, seed, {"road": 0.1 + seed / 10}) for label, seed in networks]
    assert section_of(record).sentences[0] == f"Nothing is tested in ROAD. {said}"


def test_beside_seeds_an_interval_over_images_says_so(record):
    record["rows"] = [
        row("none", 0, {"road": 0.1}),
        row("none", 1, {"road": 0.12}),
        row("se", 0, {"road": 0.2}),
    ]
    (plain, se) = section_of(record).tables[0].rows
    assert se[1] == ("0.200", "0.190 to 0.210 over images")
    assert "over" not in plain[1].detail


def test_a_picture_from_outside_of_the_folder_is_not_taken_in(record, tmp_path):
    """A record may come from elsewhere and name any file that its reader can read."""
    folder = tmp_path / "study"
    folder.mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "private.png")
    (folder / "link.png").symlink_to(tmp_path / "private.png")
    (folder / "keys.png").write_text("secret")
    for file, said in (
        ("/etc/passwd", "names /etc/passwd, which lies outside of this folder."),
        ("../private.png", "names ../private.png, which lies outside of this folder."),
        (str(tmp_path / "private.png"), "which lies outside of this folder."),
        ("link.png", "names link.png, which lies outside of this folder."),
        ("keys.png", "keys.png is no PNG."),
    ):
        record["pictures"] = [{"title": "Where", "description": "In words.", "file": file}]
        section = section_of(record, folder)
        assert section.pictures == []
        assert section.sentences[-1].startswith("The picture “Where” is not shown: ")
        assert section.sentences[-1].endswith(said)


def test_tables_pictures_and_numbers(record, tmp_path):
    section = section_of(record, tmp_path)
    assert section.pictures == []  # gone
    (tmp_path / "explain").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "explain" / "grid.png")
    section = section_of(record, tmp_path)
    assert [picture.title for picture in section.pictures] == ["Where"]
    scores, tests, learned = section.tables
    assert [cell.main for cell in scores.rows[1]] == ["dmsca", "0.600 ± 0.011", "0.113 ± 0.015"]
    assert [cell.main for cell in tests.rows[0]][:3] == ["Focus ratio", "dmsca", "0.100"]
    assert [cell.main for cell in learned.rows[0]] == ["layer1.0", "dmsca", "tau", "1.000 ± 0.100"]
    assert {name: len(rows) for name, rows in section.numbers.items()} == {
        "explain_scores": 12,
        "explain_tests": 2,
        "explain_learned": 3,
    }


def test_what_is_undefined_or_excluded_is_counted(record, tmp_path):
    record["rows"][0]["scores"]["road"] = score(0.1, undefined=4)
    record["data"]["left_out"] = 2
    said = section_of(record, tmp_path).sentences
    assert any(one.startswith("4 values are undefined") for one in said)
    assert said[-1] == "2 images or regions were excluded."


def test_nothing_and_a_score_that_one_mechanism_lacks(record, tmp_path):
    record["rows"][0]["scores"].pop("road")
    row = section_of(record, tmp_path).tables[0].rows[1]
    assert row[2].main == "0.115 ± 0.021"
    for one in record["rows"]:
        if one["label"] == "dmsca":
            one["scores"] = {}
    assert section_of(record, tmp_path).tables[0].rows[1][1].main == "–"
    record["rows"] = []
    assert section_of(record, tmp_path).sentences == ["No network's maps could be made."]


def test_every_score_that_is_measured_has_its_words():
    assert set(NOTES) == set(SCORES)


def detectors_of(record: dict, found: dict[str, list[int]]) -> dict:
    for one in record["rows"]:
        one["found"] = found[one["label"]][one["seed"]]
        one["key"]["method"] = "hirescam"
        one["scores"].pop("road")
    record["settings"] |= {"task": "detection", "method": "hirescam"}
    return record


def test_the_objects_that_detectors_find_are_counted_beside_the_scores(record):
    section = section_of(detectors_of(record, {"none": [80, 81, 83], "dmsca": [90, 91, 92]}))
    table = section.tables[0]
    place = [column.title for column in table.columns].index("Objects found")
    assert [row[place].main for row in table.rows] == ["81.3 of 100", "91 of 100"]
    summary = summarise(record)
    assert [row.found for row in summary.rows] == [pytest.approx(244 / 3), 91]
    assert summary.to_json()["task"] == "detection"
    assert summary.to_json()["rows"][1]["found"] == 91
    text = " ".join(section.sentences)
    assert (
        "HiResCAM at layer3.0, for the best detection of the largest annotated object of each image" in text
    )
    assert "with a known object" not in text
    assert "ROAD need one answer for a whole image" in text


def test_classification_counts_no_objects(record):
    assert "Objects found" not in [column.title for column in section_of(record).tables[0].columns]
    content = summarise(record).to_json()
    assert "task" not in content
    assert "found" not in content["rows"][0]
