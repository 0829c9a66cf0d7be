"""The section on where networks look: findings in words, tables, pictures and numbers."""

from pathlib import Path
from typing import Any

from foveate.records.labels import BASELINE, display_name
from foveate.report.core.notation import (
    NO_SPREAD,
    NOTHING,
    count,
    decimals,
    interval,
    listing,
    p_value,
    spread,
)
from foveate.report.core.section import Section, find_pictures
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.explain.summary import SCORES, summarise_explained
from foveate.report.study.tables import untested

__all__ = ["explained_section", "summarise_explained"]

Summary = dict[str, Any]
METHODS = {"gradcam++": "Grad-CAM++", "gradcam": "Grad-CAM"}
NOTES = {
    "focus_ratio": "Share of a map's energy inside the object; chance gives the object's share of the image.",
    "noise_suppression": "Mean of the maps outside of the object over their mean inside; lower is better.",
    "pointing_game": "Share of images whose highest pixel hits the object, within a small margin.",
    "view_consistency": "Cosine between the map of an image and that of it mirrored, or moved and darker.",
    "class_consistency": "Mean cosine between the maps of two images of a class; high where all look alike.",
    "road": "Loss of probability when what is most marked goes, over when what is least marked goes; "
    "a map drawn by chance has 0, 0.5 is the most.",
}


def explained_section(record: dict[str, Any], folder: Path) -> Section:
    """Make the section of a record in `folder`; a picture that is not there is left out, or refused."""
    summary = summarise_explained(record)
    tables = [_scores_table(summary), _tests_table(summary), _learned_table(summary)]
    pictures, refused = find_pictures(record, folder)
    return Section(
        "explain",
        "Where the networks look",
        [*sentences(summary), *refused],
        tables=[table for table in tables if table.rows],
        pictures=pictures,
        numbers=_numbers(record, summary),
        summary=summary,
    )


def sentences(summary: Summary) -> list[str]:
    """The findings, the main one first; what is not there is said not to be there."""
    if not summary["rows"]:
        return ["No network's maps could be looked at."]
    method, data = METHODS[summary["method"]], summary["data"]
    where = f"at {listing(summary['layers'])}" if len(summary["layers"]) < 4 else "at each one's last stage"
    made = (
        f"Maps are those of {method} {where}, for the class that the network answers, on {data['about']}"
        + (f", {data['with_object']:,} with a known object." if data["with_object"] else ".")
    )
    said = [_finding(summary), made]
    if any(score in summary["scores"] for score in ("focus_ratio", "pointing_game")):
        said.append(
            "Where a map lies says what spoke for the answer, not that the answer is right: a better score "
            "is no better network."
        )
    undefined = sum(
        row[name]["undefined"] for row in summary["rows"] for name in summary["scores"] if row[name]
    )
    if undefined:
        said.append(
            f"{count(undefined, 'value')} could not be given, of maps that are 0 throughout or objects that "
            "fill the image."
        )
    if data["left_out"]:
        were = "image or region was" if data["left_out"] == 1 else "images or regions were"
        said.append(f"{data['left_out']:,} {were} left out.")
    return said


def _finding(summary: Summary) -> str:
    tested = [test for test in summary["tests"] if test["p_adjusted"] is not None]
    names = listing([_score(name) for name in summary["scores"]])
    if not tested:
        over = {row[name]["over"] for row in summary["rows"] for name in summary["scores"] if row[name]}
        intervals = ": intervals are over images alone" if "seeds" not in over else ""
        return f"Nothing is compared by test in {names}. {_why_untested(summary)}{intervals}."
    alpha = summary["statistics"]["alpha"]
    shown = [test for test in tested if test["p_adjusted"] < alpha]
    family = f"{count(len(tested), 'comparison')} with plain, adjusted for their number"
    if not shown:
        return f"In {names}, no mechanism is shown to differ from plain ({family})."
    parts = []
    for test in shown:
        better = SCORES[test["score"]][1] * test["difference"]
        word = {True: " (better)", False: " (worse)"}[better > 0] if better else ""
        difference = decimals(test["difference"], 3).replace("−", "")
        way = "lower" if test["difference"] < 0 else "higher"
        parts.append(f"the {_score(test['score'])} of {display_name(test['b'])} is {difference} {way}{word}")
    same = sum(test["p_adjusted"] is None and test["n"] > 1 for test in summary["tests"])
    family += f", and {same} more with {NO_SPREAD}" if same else ""
    rest = f"The other {len(tested) - len(shown)} are not shown" if len(shown) < len(tested) else ""
    sentence = f"Of {family}, {len(shown)} {'is' if len(shown) == 1 else 'are'} shown: {listing(parts)}."
    return f"{sentence} {rest}.".removesuffix(" .")


def _why_untested(summary: Summary) -> str:
    rows = summary["rows"]
    if len(rows) == 1:
        return "One network" if rows[0]["runs"] == 1 else "There is one mechanism alone"
    if all(row["attention"] != BASELINE for row in rows):
        return "There is no plain network among them to compare with"
    if all(row["runs"] == 1 for row in rows):
        return "One network of each is no sample of trainings"
    if any(test["n"] > 1 for test in summary["tests"]):
        return f"Each mechanism has {NO_SPREAD}"
    return "No mechanism has two seeds in common with plain"


def _score(name: str) -> str:
    title = SCORES[name][0]
    return title if title.isupper() else title[0].lower() + title[1:]


def _scores_table(summary: Summary) -> Table:
    seeds = any(row["runs"] > 1 for row in summary["rows"])
    over = (
        "Mean ± standard deviation over seeds, below the 95 % interval of the mean"
        if seeds
        else "Mean over images, below its 95 % interval"
    )
    columns = [Column("Mechanism", f"{over}.")]
    columns += [Column(SCORES[name][0], NOTES[name]) for name in summary["scores"]]
    rows = [
        [
            Cell(display_name(row["attention"]), count(row["runs"], "network")),
            *(_scored(row[name], seeds) for name in summary["scores"]),
        ]
        for row in summary["rows"]
    ]
    return Table("explain_scores", "Scores of the maps", columns, rows)


def _scored(score: dict[str, Any] | None, seeds: bool) -> Cell:
    """A score; in a table of `seeds` one of a single network says that its interval is not over them."""
    if score is None:
        return Cell(NOTHING)
    range_ = interval(score["ci95"], 3) if score["ci95"] else ""
    if score["over"] == "seeds":
        return Cell(spread(score, 3), range_)
    over = f" over {score['over']}" if seeds and range_ else ""
    return Cell(decimals(score["mean"], 3), range_ + over)


def _tests_table(summary: Summary) -> Table:
    tests = [test for test in summary["tests"] if test["n"] > 1]
    columns = [
        Column("Score"),
        Column("Mechanism", "Against plain, matched seed by seed."),
        Column("Difference", "Mean over seeds; below, its own 95 % interval."),
        Column("p", "Two-sided paired t-test."),
        Column("Adjusted p", f"Adjusted for {count(len(tests), 'comparison')} (Holm)."),
        Column("Seeds"),
    ]
    rows = [
        [
            Cell(SCORES[test["score"]][0]),
            Cell(display_name(test["b"])),
            Cell(decimals(test["difference"], 3), interval(test["ci95"], 3) if test["ci95"] else ""),
            Cell(p_value(test["p"])),
            Cell(p_value(test["p_adjusted"]), untested(test)),
            Cell(str(test["n"])),
        ]
        for test in tests
    ]
    return Table("explain_tests", "Maps against those of plain", columns, rows)


def _learned_table(summary: Summary) -> Table:
    columns = [
        Column("Place", "Of the attention, from the first stage to the last."),
        Column("Mechanism"),
        Column("Number"),
        Column("Value", "Mean ± standard deviation over seeds."),
    ]
    rows = [
        [
            Cell(one["site"]),
            Cell(display_name(one["attention"])),
            Cell(one["number"]),
            Cell(spread(one, 3)),
        ]
        for one in summary["learned"]
    ]
    return Table("explain_learned", "What the attention learned, by layer", columns, rows)


def _numbers(record: dict[str, Any], summary: Summary) -> dict[str, list[dict[str, Any]]]:
    scores = [
        {"network": row["key"]["name"], "attention": row["label"], "seed": row["seed"], "score": name}
        | {key: score[key] for key in ("mean", "std")}
        | {"low": (score["ci95"] or [None])[0], "high": (score["ci95"] or [None])[-1]}
        | {key: score[key] for key in ("n", "undefined")}
        for row in record["rows"]
        for name, score in row["scores"].items()
    ]
    tests = [
        {key: test[key] for key in ("score", "a", "b", "difference", "std", "p", "p_adjusted", "n")}
        for test in summary["tests"]
    ]
    learned = [
        {"attention": row["label"], "seed": row["seed"], "site": site, "number": name, "value": value}
        for row in record["rows"]
        for site, numbers in row["learned"].items()
        for name, value in numbers.items()
    ]
    return {
        name: rows
        for name, rows in (
            ("explain_scores", scores),
            ("explain_tests", tests),
            ("explain_learned", learned),
        )
        if rows
    }
