"""The settings of `foveate explain --gates`."""

from dataclasses import dataclass, fields
from typing import Annotated

from cyclopts import Parameter

from foveate.errors import RequestError
from foveate.inspection.explain.settings import ExplainSettings
from foveate.records.margin import MARGIN_POINTS
from foveate.studies.spec.flag_groups import GATES

__all__ = ["GateSettings"]

SHARED = {"limit", "batch_size"}
"""The settings of maps that hold for gates, too."""
LARGEST_MARGIN = 50


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """Whether gates are examined in place of heat maps, and what counts as a constant.

    Attributes:
        gates: Measure what each gate of the attention is worth, in place of making heat maps: accuracy with
            the gate as it is, with its mean over images, and with the gate of another image.
        margin: Points of accuracy that replacing a gate by its mean may cost or gain for the gate to count
            as a constant.
    """

    gates: Annotated[bool, Parameter(group=GATES)] = False
    margin: Annotated[float, Parameter(group=GATES)] = MARGIN_POINTS

    @property
    def share(self) -> float:
        """The margin as a share of the images."""
        return self.margin / 100

    def check(self, maps: ExplainSettings) -> None:
        """Raise RequestError for a margin that cannot be used, and for a setting that has no effect."""
        if not 0 < self.margin < LARGEST_MARGIN:
            raise RequestError(
                f"--margin must be a number of points above 0 and below {LARGEST_MARGIN}, got {self.margin:g}"
            )
        if not self.gates and self.margin != GateSettings.margin:
            raise RequestError("--margin is what counts as a constant gate: give --gates, too")
        changed = [
            f"--{field.name.replace('_', '-')}"
            for field in fields(maps)
            if field.name not in SHARED and getattr(maps, field.name) != field.default
        ]
        if self.gates and changed:
            raise RequestError(
                f"{changed[0]} is for heat maps, and --gates makes none: it takes the test images of the "
                "networks' study, or those of --data. Leave one of the two out"
            )
