"""The summary of a record of `foveate explain --gates`: gates by mechanism and site, over seeds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from foveate.evaluation.gate_verdicts import ADJUST, Tests, Verdict
from foveate.evaluation.significance import ALPHA
from foveate.evaluation.statistics import Description
from foveate.evaluation.within_margin import LEVEL
from foveate.records.base import JsonObject
from foveate.records.gates import GatesData, Replacement

__all__ = ["GateSummary", "GatesSummary", "MechanismGates"]


@dataclass(frozen=True)
class GateSummary:
    """A gate over the networks of a mechanism; see `foveate.records.gates.SiteGate`."""

    site: str
    path: str
    factor: str | None
    mean: Description
    between_images: Description
    share: Description
    channel_share: Description
    spatial_share: Description
    tests: Tests

    @property
    def name(self) -> str:
        """The site, and the name of the gate where the site has several."""
        return self.site if self.factor is None else f"{self.site}, {self.factor}"

    @property
    def verdict(self) -> Verdict:
        """Whether the gate is a constant: whether its mean over images serves in its place."""
        return self.tests[Replacement.WHOLE].verdict

    def serves(self, kind: Replacement) -> bool:
        """Whether the gate is a constant and that mean serves in its place, too."""
        return self.verdict is Verdict.CONSTANT and self.tests[kind].verdict is Verdict.CONSTANT

    def to_json(self) -> JsonObject:
        """Return the gate as `--json` gives it."""
        described = {
            name: asdict(getattr(self, name))
            for name in ("mean", "between_images", "share", "channel_share", "spatial_share")
        }
        return {
            "site": self.site,
            "path": self.path,
            "factor": self.factor,
            "verdict": self.verdict.value,
            **described,
            "replaced": _tests_to_json(self.tests),
        }


@dataclass(frozen=True)
class MechanismGates:
    """The gates of one mechanism, from the first site to the last.

    Attributes:
        runs: number of networks.
        accuracy: with all gates as they are.
        can_be_shown: whether as many gates, none of which changes an answer, would be shown to be constants:
            not by too few images and seeds.
        together: with all gates replaced at once.
    """

    attention: str
    runs: int
    accuracy: Description
    gates: tuple[GateSummary, ...]
    can_be_shown: bool
    together: Tests

    def of(self, verdict: Verdict) -> list[GateSummary]:
        """Return the gates with a verdict."""
        return [gate for gate in self.gates if gate.verdict is verdict]

    def to_json(self) -> JsonObject:
        """Return the gates as `--json` gives them."""
        return {
            "attention": self.attention,
            "runs": self.runs,
            "accuracy": asdict(self.accuracy),
            "constant": len(self.of(Verdict.CONSTANT)),
            "can_be_shown": self.can_be_shown,
            "gates": [gate.to_json() for gate in self.gates],
            "together": _tests_to_json(self.together),
        }


@dataclass(frozen=True)
class GatesSummary:
    """A record of `foveate explain --gates` in numbers; `mean_images` are by part, the most of a network."""

    margin: float
    data: GatesData
    mean_images: Mapping[str, int]
    rows: tuple[MechanismGates, ...]

    def to_json(self) -> JsonObject:
        """Return the summary as `--json` gives it."""
        return {
            "margin": self.margin,
            "data": self.data.to_json(),
            "mean_images": dict(self.mean_images),
            "statistics": {"alpha": ALPHA, "adjust": ADJUST, "interval": LEVEL},
            "rows": [row.to_json() for row in self.rows],
        }


def _tests_to_json(tests: Tests) -> JsonObject:
    return {kind.value: test.to_json() for kind, test in tests.items()}
