"""The figures of what attention learns: its numbers by layer, over the epochs."""

from collections.abc import Sequence
from itertools import takewhile

from foveate.records.labels import display_name
from foveate.records.study import StudyRecords
from foveate.report.core.charts.axes import Axis, Caption
from foveate.report.core.charts.band import EPOCHS, BandLine, BandPoint, band_figure
from foveate.report.core.theme import Figure
from foveate.report.study.dynamics import learned_numbers

__all__ = ["learned_figures"]

NAMES = {"tau": "Temperature τ"}
DEPTHS = ((217, 148, 30), (196, 72, 126), (58, 110, 216))
"""RGB of the shallowest, a middle and the deepest layer: mid-tones, as those of mechanisms are."""

OverEpochs = dict[int, list[float]]
"""The values of all seeds, by epoch."""


def learned_figures(records: StudyRecords) -> list[Figure]:
    """Draw each learned number of each candidate that has one: a line for each layer, the mean over seeds."""
    by_figure: dict[tuple[str, str], dict[str, OverEpochs]] = {}
    for row in learned_numbers(records):
        layers = by_figure.setdefault((row.attention, row.number), {})
        layers.setdefault(row.site, {}).setdefault(row.epoch, []).append(row.value)
    return [
        _by_layer(number, label, records.finished.index(label), layers)
        for (label, number), layers in by_figure.items()
    ]


def _by_layer(number: str, label: str, place: int, layers: dict[str, OverEpochs]) -> Figure:
    shared = _shared_prefix(list(layers))
    lines = [
        BandLine(
            name=layer.removeprefix(shared),
            colour=_colour(depth / max(len(layers) - 1, 1)),
            points=[BandPoint.over(epoch, values) for epoch, values in sorted(by_epoch.items())],
        )
        for depth, (layer, by_epoch) in enumerate(layers.items())
    ]
    quantity = NAMES.get(number, number)
    heading = f"{quantity} by layer: {display_name(label)}"
    ends = ", ".join(f"{line.name} {line.points[-1].mean:.3g}" for line in lines)
    description = f"{heading}, mean over seeds. After the last epoch: {ends}."
    caption = Caption(f"learned_{number}_{place}", "curves", heading, description)
    axis = Axis(number, quantity)
    return band_figure(caption, lines, EPOCHS, axis, of="layer", has_band=False, legend_columns=4)


def _shared_prefix(names: Sequence[str]) -> str:
    """Return the modules that all of several dotted names begin with: the parts of a detector's backbone."""
    if len(names) < 2:
        return ""
    parts = [name.split(".")[:-1] for name in names]
    shared = [one[0] for one in takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))]
    return "".join(f"{part}." for part in shared)


def _colour(depth: float) -> str:
    """Return the colour between those of DEPTHS for a depth from 0 to 1."""
    low = min(int(depth * 2), 1)
    share = 2 * depth - low
    channels = (round(a + share * (b - a)) for a, b in zip(DEPTHS[low], DEPTHS[low + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)
