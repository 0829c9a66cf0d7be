"""The section of a report on where networks look."""

from pathlib import Path

from foveate.records.explain import EXPLAIN, ExplainRecord
from foveate.report.core.section import Section, find_pictures
from foveate.report.explain.summary import summarise_explain
from foveate.report.explain.tables import (
    learned_numbers,
    learned_table,
    score_numbers,
    scores_table,
    test_numbers,
    tests_table,
)
from foveate.report.explain.words import explain_sentences

__all__ = ["explain_section"]


def explain_section(record: ExplainRecord, folder: Path) -> Section:
    """Make the section of a record in `folder`; a missing picture is skipped, a foreign one refused."""
    summary = summarise_explain(record)
    pictures, refused = find_pictures(record.pictures, folder)
    tables = [scores_table(summary), tests_table(summary), learned_table(summary)]
    numbers = {
        "explain_scores": [*score_numbers(record)],
        "explain_tests": [*test_numbers(summary)],
        "explain_learned": [*learned_numbers(record)],
    }
    return Section(
        EXPLAIN,
        "Where the networks look",
        [*explain_sentences(summary), *refused],
        tables=[table for table in tables if table.rows],
        pictures=pictures,
        numbers={name: rows for name, rows in numbers.items() if rows},
        summary=summary.to_json(),
    )
