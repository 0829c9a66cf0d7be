"""The figures that an article prints, as they stand beside a study's own: theirs, never ours.

Their units are those of a summary: scores and gains as fractions, single parameters and multiply-adds.
"""

from dataclasses import asdict, dataclass

from foveate.records.base import JsonObject

__all__ = ["PrintedCost", "PrintedDifference", "PrintedFigures", "PrintedGrowth", "PrintedRow"]


@dataclass(frozen=True)
class PrintedRow:
    """What an article prints of one mechanism or network; None where it prints nothing.

    `gain` is over the article's own baseline, `std` the deviation of the accuracy.
    """

    loss: float | None = None
    accuracy: float | None = None
    std: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    parameters: float | None = None
    macs: float | None = None
    gain: float | None = None

    def to_json(self) -> dict[str, float]:
        """Return what is printed."""
        return _given(self)


@dataclass(frozen=True)
class PrintedDifference:
    """The printed difference b - a of a comparison; title and group are those of a planned one."""

    a: str
    b: str
    title: str | None
    group: str | None
    difference: float

    def to_json(self) -> JsonObject:
        """Return the difference, with title and group where it was planned."""
        return _given(self)


@dataclass(frozen=True)
class PrintedGrowth:
    """By how many per cent a network grows with a mechanism."""

    parameters: float
    macs: float
    latency: float


@dataclass(frozen=True)
class PrintedCost:
    """The growth by label; `words` name the network and the device of the measurement."""

    words: str
    rows: dict[str, PrintedGrowth]


@dataclass(frozen=True)
class PrintedFigures:
    """The figures of an article that are closest to a study.

    Attributes:
        article: its name in `--against`.
        title: its title.
        by: its authors and where it was published.
        doi: its DOI.
        setting: what the scores are of, in words.
        differs: in which respects the study differs, in words.
        rows: the scores, by the labels of the study that have any.
        contrasts: the printed differences of the comparisons of the study that have any.
        contrasts_setting: what the differences are of: the points of an ablation may be of another setting.
        contrasts_differ: in which respects the study differs from that.
        cost: what a mechanism adds to a network; None where it is not printed.
    """

    article: str
    title: str
    by: str
    doi: str
    setting: str
    differs: tuple[str, ...]
    rows: dict[str, PrintedRow]
    contrasts: tuple[PrintedDifference, ...]
    contrasts_setting: str
    contrasts_differ: tuple[str, ...]
    cost: PrintedCost | None

    @property
    def is_empty(self) -> bool:
        """Whether the article prints nothing that the study compares."""
        return not self.rows and not self.contrasts

    def row(self, label: str) -> PrintedRow:
        """Return what is printed of the candidate `label`, which may be nothing."""
        return self.rows.get(label, PrintedRow())

    def difference(self, a: str, b: str, title: str | None, group: str | None) -> float | None:
        """Return the printed difference of a comparison; None where there is none."""
        asked = (a, b, title, group)
        found = (one for one in self.contrasts if (one.a, one.b, one.title, one.group) == asked)
        return next((one.difference for one in found), None)

    def to_json(self) -> JsonObject:
        """Return the figures as `--json` gives them, under "against"."""
        return {
            **asdict(self),
            "differs": list(self.differs),
            "rows": {label: row.to_json() for label, row in self.rows.items()},
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "contrasts_differ": list(self.contrasts_differ),
        }


def _given(printed: PrintedRow | PrintedDifference) -> JsonObject:
    return {key: value for key, value in asdict(printed).items() if value is not None}
