"""The looks at a study: those that were planned (--until-decided), and those made by hand."""

from foveate.evaluation.look_sentences import stop_sentences
from foveate.evaluation.looks import Course, PlannedLook
from foveate.evaluation.significance import Outcome
from foveate.notation import NOTHING, count, listing, short_p
from foveate.records.labels import display_name
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.summary import Summary

__all__ = ["adjustment", "hand_looks_sentence", "looks_sentences", "looks_table", "plan_sentences"]

SPENDING = {
    "obrien-fleming": "little on the first looks (O'Brien-Fleming)",
    "pocock": "evenly (Pocock)",
}


READ_BEFORE = (
    "The report was read before this plan was made: a claim that was made then is not covered by it."
)


def _was_read_before(summary: Summary) -> bool:
    return bool(summary.study.looks and summary.study.looks.earlier)


def looks_sentences(summary: Summary) -> list[str]:
    """Say in the verdict what stopped the study, or for how many looks p values are adjusted."""
    if summary.study.sequential is not None:
        stopped = stop_sentences(summary.study, {(one.a, one.b): one for one in summary.courses})
        return [*stopped, *([READ_BEFORE] if _was_read_before(summary) else [])]
    sentence = hand_looks_sentence(summary)
    return [sentence] if sentence else []


def hand_looks_sentence(summary: Summary) -> str:
    """Say that seeds were added after a report was built, and what was done about it; "" if they were not."""
    looks = summary.study.looks
    if looks is None or not looks.earlier:
        return ""
    found = {
        (*looks.of(test.a, test.b, test.test.n), test.test.n) for test in summary.comparisons if test.test.n
    }
    repeated = sorted(numbers for numbers in found if len(numbers) > 1)
    if not repeated:
        return ""
    numbers = " or ".join(
        f"{count(len(one), 'look')} ({listing([*map(str, one)])} seeds)" for one in repeated
    )
    if not looks.since_first:
        return (
            f"Seeds were added after a report was read: p values are adjusted for {numbers}, but not for "
            "looks before these, of which the records of an earlier version say nothing."
        )
    return f"Seeds were added after a report was read: p values are adjusted for {numbers}."


def adjustment(summary: Summary) -> str:
    """Say how p values are adjusted, for the sentence about the family."""
    if summary.study.sequential is None:
        return summary.study.statistics.adjust.capitalize()
    return f"for the looks, too: p times {summary.study.statistics.alpha:g} over the level of its look"


def plan_sentences(summary: Summary) -> list[str]:
    """Say what was planned before the first look; nothing for a study without a plan."""
    plan = summary.study.sequential
    if plan is None:
        return []
    before = f"{READ_BEFORE} " if _was_read_before(summary) else ""
    return [
        f"Planned before the first look: {count(plan.first, 'seed')} first, then one more at a time, at most "
        f"{plan.max_seeds}. The {100 * plan.alpha:g} % of wrong decisions are divided among "
        f"{count(plan.comparisons, 'comparison')}, and spent over the looks {SPENDING[plan.spending]}; a "
        f"comparison is decided at the first look whose p value is under its level.",
        f"{before}The intervals hold together at all looks and for all comparisons. Other 95 % intervals of "
        "this page are those of the last look, each for itself, and not adjusted for the earlier ones.",
    ]


def looks_table(summary: Summary) -> Table | None:
    """Return one row per comparison and look, up to the one that decided; None without a plan."""
    if not any(course.looks for course in summary.courses):
        return None
    metric = summary.metric
    columns = [
        Column("Pair", "The second minus the first, matched seed by seed."),
        Column("Seeds", "Pairs of runs at the look."),
        Column(
            metric.heading_of_difference("Difference"),
            "Mean over these seeds; below, an interval that holds at all looks together.",
        ),
        Column("p, different", "Of no difference; below, the level under which it decides."),
        Column("p, equivalent", "Of a difference of the margin or more; below, the level."),
        Column("Decision", is_text=True),
    ]
    rows = [
        [
            Cell(f"{display_name(course.a)} → {display_name(course.b)}" if look is course.looks[0] else ""),
            Cell(str(look.pairs)),
            Cell(
                metric.write_difference(look.difference),
                metric.write_interval(look.interval) if look.interval else "",
            ),
            _tested(look.p, look.level.different),
            _tested(look.equivalence_p, look.level.equivalent),
            Cell(_decision(course, look)),
        ]
        for course in summary.courses
        for look in course.looks
    ]
    return Table("looks", "What each look came to", columns, rows)


def _tested(p: float | None, level: float) -> Cell:
    return Cell(NOTHING if p is None else short_p(p), f"level {short_p(level)}")


def _decision(course: Course, look: PlannedLook) -> str:
    if not look.is_decided:
        return "too early" if not look.level.different else "open"
    if look.outcome is Outcome.EQUIVALENT:
        return "equivalent"
    return f"{display_name(course.b)} {look.outcome.value}"
