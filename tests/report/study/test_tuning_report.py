"""What the report of a tuned study says that each candidate got."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from synthetic_study import edit_json, write_study

from foveate.errors import RequestError
from foveate.records.study import read_study
from foveate.report.joined.differences import Difference, find_differences
from foveate.report.study.build import build_report
from foveate.report.study.console import console_table
from foveate.report.study.start import start_sentences
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.tuning import tuning_cautions, tuning_numbers, tuning_sentences, tuning_table

PROPOSALS = [
    {"learning_rate": 0.1, "weight_decay": 0.0005, "options": {}},
    {"learning_rate": 0.283, "weight_decay": 0.000158, "options": {"reduction": "4"}},
    {"learning_rate": 0.0354, "weight_decay": 0.00158, "options": {"reduction": "8"}},
]
GOT: dict[str, tuple[int, list[float | None], list[str]]] = {
    "none": (0, [0.9, 0.8, 0.9], []),
    "se": (1, [0.9, 0.95, None], ["reduction"]),
    "cbam": (0, [None, None, None], ["reduction"]),
    "dmsca": (2, [0.91, 0.9, 0.93], []),
}


def tuning(proposals: list[dict[str, Any]] = PROPOSALS, **changes: Any) -> dict[str, Any]:
    candidates = [
        {
            "label": label,
            "options": options,
            "chosen": chosen,
            "trials": [
                {
                    "number": number,
                    "validation": value,
                    "epochs": 12 if value else 0,
                    "state": "complete" if value else "failed",
                }
                for number, value in enumerate(values)
            ],
        }
        for label, (chosen, values, options) in GOT.items()
    ]
    content = {
        "seed": 1000,
        "learning_rate": [0.0125, 0.8],
        "weight_decay": [5e-05, 0.005],
        "options": {"reduction": ["4", "8"]},
        "proposals": proposals,
        "candidates": candidates,
    }
    return content | changes


def summary_of(folder: Path, content: dict[str, Any] | None = None) -> Summary:
    write_study(folder)
    edit_json(folder / "study.json", tuning=content or tuning())
    return summarise(read_study(folder))


def test_the_table_has_what_each_candidate_got_and_took(tmp_path: Path) -> None:
    table = tuning_table(summary_of(tmp_path))
    assert table is not None
    rows = [[(cell.main, cell.detail) for cell in row] for row in table.rows]
    own = "the recipe's own"
    assert rows == [
        [
            ("baseline", ""),
            ("3", ""),
            ("0.1", own),
            ("0.0005", own),
            ("not varied", ""),
            ("90.00", "90.00"),
            (own, ""),
        ],
        [
            ("se", ""),
            ("3", "1 failed"),
            ("0.283", "× 2.83, the highest tried"),
            ("0.000158", "× 0.32, the lowest tried"),
            ("reduction = 4", ""),
            ("95.00", "90.00"),
            ("+5.00", ""),
        ],
        [
            ("cbam", ""),
            ("3", "3 failed"),
            ("0.1", own),
            ("0.0005", own),
            ("as given", ""),
            ("–", "–"),
            (own, ""),
        ],
        [
            ("dmsca", ""),
            ("3", ""),
            ("0.0354", "× 0.35, the lowest tried"),
            ("0.00158", "× 3.16, the highest tried"),
            ("not varied", ""),
            ("93.00", "91.00"),
            ("+2.00", ""),
        ],
    ]
    assert len(table.columns) == 7


def test_the_sentences_say_it(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    assert tuning_sentences(summary) == [
        "Each of the 4 candidates got 3 trials on the validation part of seed 1000, which no run of the "
        "study has: the same 3 proposals for each, learning rates from 0.0354 to 0.283 and weight decays "
        "from 0.000158 to 0.00158, the recipe's own values first. The validation part alone judged them; "
        "the test part was not read. What is compared was trained anew, on the study's seeds.",
        "se took learning rate 0.283, weight decay 0.000158 and reduction 4; dmsca took learning rate 0.0354 "
        "and weight decay 0.00158; the baseline and cbam kept the recipe's own values.",
        "The option reduction was tried as 4 and 8 for se and cbam; the baseline and dmsca did not get it, "
        "having no such option or a given value of it.",
    ]
    assert tuning_cautions(summary) == [
        "1 of the 3 trials of se failed; they count as trials.",
        "3 of the 3 trials of cbam failed; they count as trials. It keeps the recipe's own values, untried.",
        "At the edge of what was tried: 0.283, the highest learning rate (se), 0.0354, the lowest learning "
        "rate (dmsca), 0.00158, the highest weight decay (dmsca) and 0.000158, the lowest weight decay (se). "
        "Better values may lie beyond: give more trials, or a recipe nearer to these.",
    ]
    assert "with learning rate and weight decay tuned for each candidate" in " ".join(summary.verdict)


def test_a_weight_decay_of_0_is_not_spoken_of_as_tuned(tmp_path: Path) -> None:
    none = [proposal | {"weight_decay": 0, "options": {}} for proposal in PROPOSALS]
    summary = summary_of(tmp_path, tuning(none, weight_decay=[0, 0], options={}))
    first, second = tuning_sentences(summary)
    assert "the recipe's own values first; the recipe's weight decay of 0 stayed." in first
    assert second == (
        "se took learning rate 0.283; dmsca took learning rate 0.0354; the baseline and cbam kept the "
        "recipe's own values."
    )
    assert "weight decay" not in tuning_cautions(summary)[-1]
    table = tuning_table(summary)
    assert table is not None
    assert {row[3].main for row in table.rows} == {"0"}


def test_the_page_the_terminal_the_files_and_json_have_it(tmp_path: Path) -> None:
    write_study(tmp_path)
    edit_json(tmp_path / "study.json", tuning=tuning())
    summary = build_report(tmp_path)
    page = summary.report.read_text(encoding="utf-8")
    assert '<h2 id="tuning">Tuning</h2>' in page
    assert "Each mechanism trains with a learning rate and a weight decay of its own" in page
    with (tmp_path / "report" / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 == len(list(tuning_numbers(summary)))
    assert rows[4] == {
        "attention": "se",
        "seed": "1000",
        "trial": "1",
        "learning_rate": "0.283",
        "weight_decay": "0.000158",
        "reduction": "4",
        "validation_accuracy": "0.95",
        "epochs": "12",
        "state": "complete",
        "chosen": "True",
    }
    assert (tmp_path / "report" / "tuning.md").is_file()
    assert summary.to_json()["study"]["tuning"] == tuning()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(console_table(summary))
    text = " ".join(console.export_text().split())
    assert "Each of the 4 candidates got 3 trials" in text
    assert "At the edge of what was tried" in text


def test_an_untuned_study_has_none_of_it(tmp_path: Path) -> None:
    summary = summarise(read_study(write_study(tmp_path)))
    assert tuning_table(summary) is None
    assert tuning_sentences(summary) == tuning_cautions(summary) == list(tuning_numbers(summary)) == []
    assert "tuning" not in summary.to_json()["study"]
    assert "tuned" not in " ".join(summary.verdict)


def test_a_joined_report_names_another_tuning(tmp_path: Path) -> None:
    write_study(tmp_path / "a")
    write_study(tmp_path / "b")
    edit_json(tmp_path / "b" / "study.json", tuning=tuning())
    found = find_differences([read_study(tmp_path / name) for name in ("a", "b")])
    assert Difference("recipe", "tune", (None, 3)) in found
    assert Difference("recipe", "tune_option reduction", (None, ["4", "8"])) in found


def test_an_article_was_not_tuned(tmp_path: Path) -> None:
    for name, content in (("a", {}), ("b", {"tuning": tuning()})):
        edit_json(write_study(tmp_path / name) / "study.json", **content)
    untuned, tuned = (build_report(tmp_path / name, "dmsca-article").against for name in ("a", "b"))
    assert untuned is not None
    assert tuned is not None
    assert set(tuned.differs) - set(untuned.differs) == {
        "learning rate and weight decay tuned for each candidate"
    }


def test_the_rates_of_parts_are_those_before_tuning(tmp_path: Path) -> None:
    summary = summary_of(tmp_path)
    recipe = {**summary.study.recipe, "backbone_rate": 0.1}
    study = summary.study.model_copy(update={"recipe": recipe})
    (sentence,) = start_sentences(study)
    assert sentence.startswith("Before tuning, the highest learning rates are 0.01 for the backbone")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"proposals": []}, "tuning.proposals"),
        ({"proposals": PROPOSALS[:2]}, "the trials of none are not those of the 2 proposals"),
        ({"proposals": [{"learning_rate": 0, "weight_decay": 0}] * 3}, "learning_rate"),
        ({"seed": -1}, "tuning.seed"),
    ],
)
def test_an_impossible_record_is_refused(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestError, match=f"study.json is not a valid record: .*{why}"):
        summary_of(tmp_path, tuning(**changes))
