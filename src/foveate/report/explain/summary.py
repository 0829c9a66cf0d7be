"""The summary of a record of `foveate explain`: scores by mechanism, and tests against the baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from foveate.evaluation.comparisons import AdjustedTest
from foveate.evaluation.intervals import bounds_of
from foveate.evaluation.significance import ALPHA, outcome
from foveate.evaluation.statistics import Description, PairedTest, adjust_family, describe, paired_test
from foveate.records.base import JsonObject
from foveate.records.explain import SCORES, ExplainData, ExplainRecord, ExplainRow
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION

__all__ = [
    "ExplainSummary",
    "LearnedNumber",
    "MechanismScores",
    "ScoreSummary",
    "ScoreTest",
    "summarise_explain",
]

ADJUST = "holm"


@dataclass(frozen=True)
class ScoreSummary:
    """A score of one mechanism.

    Attributes:
        description: mean, standard deviation and interval.
        n: number of values.
        undefined: number of images without a value, of all networks together.
        over: what the values are of: seeds where there are several networks, else images or classes.
    """

    description: Description
    n: int
    undefined: int
    over: Literal["seeds", "images", "classes"]

    def to_json(self) -> JsonObject:
        """Return the score as `--json` gives it."""
        content = asdict(self)
        described = content.pop("description")
        del described["values"]
        return {**described, **content}


@dataclass(frozen=True)
class MechanismScores:
    """The scores of one mechanism by name, None where it has none; `runs` is its number of networks.

    `found` is the mean number of objects that its networks find; None where they are no detectors.
    """

    attention: str
    runs: int
    scores: dict[str, ScoreSummary | None]
    found: float | None = None

    @property
    def given(self) -> list[ScoreSummary]:
        """The scores that it has."""
        return [score for score in self.scores.values() if score is not None]

    def to_json(self) -> JsonObject:
        """Return the scores as `--json` gives them."""
        scores = {name: score and score.to_json() for name, score in self.scores.items()}
        found = {} if self.found is None else {"found": self.found}
        return {"attention": self.attention, "runs": self.runs, **found, **scores}


@dataclass(frozen=True)
class ScoreTest(AdjustedTest):
    """The test of mechanism `b` against `a`, the baseline, in one score, paired by seed."""

    score: str
    a: str
    b: str

    def to_json(self) -> JsonObject:
        """Return the test as `--json` gives it."""
        return {"score": self.score, "a": self.a, "b": self.b, **super().to_json()}


@dataclass(frozen=True)
class LearnedNumber:
    """A number that the attention at one site has learned, over the networks of a mechanism."""

    attention: str
    site: str
    number: str
    description: Description

    def to_json(self) -> JsonObject:
        """Return the number as `--json` gives it."""
        head = {"attention": self.attention, "site": self.site, "number": self.number}
        return {**head, **asdict(self.description)}


@dataclass(frozen=True)
class ExplainSummary:
    """A record of `foveate explain` in numbers.

    Attributes:
        method: of the maps.
        layers: whose maps were made, each once.
        data: the images.
        left_out: what was excluded, in sentences.
        scores: the names of those that any network has, in the order of tables.
        rows: the mechanisms, the baseline first.
        tests: against the baseline, all one family.
        learned: what attention learned in single numbers, by site.
        task: of the networks.
    """

    method: str
    layers: tuple[str, ...]
    data: ExplainData
    left_out: tuple[str, ...]
    scores: tuple[str, ...]
    rows: tuple[MechanismScores, ...]
    tests: tuple[ScoreTest, ...]
    learned: tuple[LearnedNumber, ...]
    task: str = CLASSIFICATION.name

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it."""
        task = {} if self.task == CLASSIFICATION.name else {"task": self.task}
        return {
            **task,
            "method": self.method,
            "layers": list(self.layers),
            "data": self.data.to_json(),
            "left_out": list(self.left_out),
            "statistics": {"alpha": ALPHA, "adjust": ADJUST},
            "scores": list(self.scores),
            "rows": [row.to_json() for row in self.rows],
            "tests": [test.to_json() for test in self.tests],
            "learned": [number.to_json() for number in self.learned],
        }


def summarise_explain(record: ExplainRecord) -> ExplainSummary:
    """Summarise a record: scores over the seeds of a mechanism where there are several, else over images.

    Tests are paired by seed, and adjusted by Holm for all scores and mechanisms together.
    """
    by_label: dict[str, list[ExplainRow]] = {}
    for row in sorted(record.rows, key=lambda row: row.label != BASELINE):
        by_label.setdefault(row.label, []).append(row)
    names = [name for name in SCORES if any(name in row.scores for row in record.rows)]
    return ExplainSummary(
        method=record.settings.method,
        layers=tuple(dict.fromkeys(row.layer for row in record.rows)),
        data=record.data,
        left_out=record.left_out,
        scores=tuple(names),
        rows=tuple(
            MechanismScores(
                label, len(rows), {name: _summarise_score(rows, name) for name in names}, _mean_found(rows)
            )
            for label, rows in by_label.items()
        ),
        tests=tuple(_tests(by_label, names)),
        learned=tuple(number for label, rows in by_label.items() for number in _learned(label, rows)),
        task=record.settings.task,
    )


def _mean_found(rows: Sequence[ExplainRow]) -> float | None:
    found = [row.found for row in rows if row.found is not None]
    return sum(found) / len(found) if found else None


def _summarise_score(rows: Sequence[ExplainRow], name: str) -> ScoreSummary | None:
    found = [row.scores[name] for row in rows if _mean(row, name) is not None]
    if not found:
        return None
    if len(found) == 1:
        (one,) = found
        over: Literal["images", "classes"] = "classes" if name == "class_consistency" else "images"
        return ScoreSummary(Description(one.mean, one.std, one.ci95, ()), one.n, one.undefined, over)
    means = [score.mean for score in found if score.mean is not None]
    undefined = sum(score.undefined for score in found)
    return ScoreSummary(describe(means, bounds_of(SCORES[name])), len(found), undefined, "seeds")


def _tests(by_label: dict[str, list[ExplainRow]], names: Sequence[str]) -> Iterator[ScoreTest]:
    tests: dict[tuple[str, str], PairedTest] = {}
    for name in names:
        baseline = _by_seed(by_label.get(BASELINE, ()), name)
        for label, rows in by_label.items():
            other = _by_seed(rows, name)
            seeds = sorted(baseline.keys() & other.keys())
            if label != BASELINE and seeds:
                before, after = ([values[seed] for seed in seeds] for values in (baseline, other))
                tests[name, label] = paired_test(before, after, bounds_of(SCORES[name]))
    adjusted = adjust_family([*tests.values()], ADJUST)
    for ((name, label), test), p_adjusted in zip(tests.items(), adjusted, strict=True):
        higher = SCORES[name].higher_is_better
        found = outcome(test.difference, p_adjusted, higher_is_better=higher)
        yield ScoreTest(test, p_adjusted, found, name, BASELINE, label)


def _by_seed(rows: Sequence[ExplainRow], name: str) -> dict[int, float]:
    return {row.seed: mean for row in rows if row.seed is not None and (mean := _mean(row, name)) is not None}


def _mean(row: ExplainRow, name: str) -> float | None:
    return row.scores[name].mean if name in row.scores else None


def _learned(label: str, rows: Sequence[ExplainRow]) -> Iterator[LearnedNumber]:
    places = dict.fromkeys(
        (site, number) for row in rows for site, numbers in row.learned.items() for number in numbers
    )
    for site, number in places:
        values = [row.learned[site][number] for row in rows if number in row.learned.get(site, {})]
        yield LearnedNumber(label, site, number, describe(values))
