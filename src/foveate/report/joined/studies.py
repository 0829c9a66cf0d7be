"""Several studies side by side."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from foveate.records.base import JsonObject
from foveate.records.metric import Metric
from foveate.report.joined.differences import Difference
from foveate.report.study.printed import PrintedFigures
from foveate.report.study.summary import Summary

__all__ = ["JoinedStudies"]


@dataclass(frozen=True)
class JoinedStudies:
    """Studies of one primary metric: their summaries, what they differ in, and the path of their page."""

    studies: tuple[Summary, ...]
    differences: tuple[Difference, ...]
    report: Path

    @property
    def metric(self) -> Metric:
        """The primary metric of all of them."""
        return self.studies[0].metric

    @property
    def article(self) -> PrintedFigures | None:
        """What an article prints beside the first of them; None where none was asked for."""
        return self.studies[0].against

    @property
    def titled(self) -> list[tuple[str, Summary]]:
        """The studies with their names; a name that occurs twice is followed by the folder."""
        times = Counter(summary.study.name for summary in self.studies)

        def title(summary: Summary) -> str:
            name = summary.study.name
            return f"{name} ({summary.report.parent.parent})" if times[name] > 1 else name

        return [(title(summary), summary) for summary in self.studies]

    def to_json(self) -> JsonObject:
        """Return the studies as `--json` gives them."""
        return {
            "studies": [summary.to_json() for summary in self.studies],
            "differences": [difference.to_json() for difference in self.differences],
            "report": str(self.report),
        }
