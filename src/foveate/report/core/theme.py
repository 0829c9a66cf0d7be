"""What all figures share: their type, the colours of mechanisms, and the light and the dark theme.

One Vega-Lite specification serves the page and the files. The colours that follow a light or a dark page come
from `theme`, as the parameters ink, paper and quiet; those of mechanisms are mid-tones, which stand out from
both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

import altair as alt

from foveate.records.labels import BASELINE, display_name

__all__ = [
    "BASELINE_COLOUR",
    "COLOURS",
    "Figure",
    "Spec",
    "colour_of",
    "colour_scale",
    "mechanism_colours",
    "mechanism_names",
    "number_tip",
    "specification",
    "theme",
]

FONT = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif'
BASELINE_COLOUR = "#7d848c"
# fmt: off
COLOURS = (
    "#2f7ed8", "#d9541e", "#15936a", "#a05fc4", "#b07d0a",
    "#d6478f", "#0f8fa3", "#96694a", "#7a8a1d", "#6b6fd1",
)
# fmt: on
TONES = {
    "light": {"ink": "#1c2126", "quiet": "#59626b", "paper": "#ffffff"},
    "dark": {"ink": "#e6e9ec", "quiet": "#9aa4ae", "paper": "#15181c"},
}
LINES = {"light": "#dfe3e7", "dark": "#343b43"}
HEAT = {"light": ["#f1f4f7", "#8db8e8", "#1d5fb0"], "dark": ["#1d2228", "#2c5f9e", "#8fc1ff"]}
LEGEND_LETTERS = 40
"""A phone shows this many letters of a legend side by side."""

Spec = dict[str, Any]
"""What Vega-Lite reads: a specification, a part of one, a configuration, or the data of a mark."""


@dataclass(frozen=True)
class Figure:
    """A chart.

    Attributes:
        name: stem of its file.
        group: where it stands in the page.
        title: above it.
        description: the chart in words, for those who do not see it.
        spec: its specification.
    """

    name: str
    group: str
    title: str
    description: str
    spec: Spec


def theme(tone: Literal["light", "dark"]) -> Spec:
    """Return the Vega-Lite configuration of a light or a dark page; files take the light one."""
    ink, quiet, paper = TONES[tone].values()
    text = {"titleFontWeight": "normal", "titleFontSize": 12, "labelFontSize": 12}
    return {
        "background": paper,
        "font": FONT,
        "params": [{"name": name, "value": colour} for name, colour in TONES[tone].items()],
        "view": {"stroke": None},
        "axis": {
            **text,
            **{"labelColor": quiet, "titleColor": quiet, "gridColor": LINES[tone]},
            **{
                "ticks": False,
                "domain": False,
                "titlePadding": 8,
                "labelPadding": 6,
                "tickCount": 6,
                "labelLimit": 130,
                "labelSeparation": 8,
            },
        },
        "legend": {**text, "labelColor": ink, "title": None, "symbolOpacity": 1, "orient": "top"},
        "range": {"heatmap": HEAT[tone]},
    }


def specification(chart: alt.LayerChart | alt.FacetChart, description: str, height: int) -> Spec:
    """Return a chart's specification, as wide as what contains it; a file gives it a width of its own."""
    spec = chart.properties(width="container", height=height, description=description).to_dict()
    # Altair's defaults for size and theme would override the page's.
    spec.pop("config", None)
    return {**spec, "autosize": {"type": "fit-x", "contains": "padding"}}


def mechanism_names(labels: Iterable[str]) -> list[str]:
    """Return the names of mechanisms as a person reads them, each once."""
    return [display_name(label) for label in dict.fromkeys(labels)]


def mechanism_colours(names: Sequence[str]) -> dict[str, str]:
    """Return the colour of each name: grey for the baseline, else one each, the same in all figures."""
    colours = cycle(COLOURS)
    return {name: BASELINE_COLOUR if name == display_name(BASELINE) else next(colours) for name in names}


def colour_of(
    field: str, colours: Mapping[str, str], *, legend: bool = False, columns: int | None = None
) -> alt.Color:
    """Return the encoding of `field`, which holds a key of `colours`, as its colour; a legend has all keys.

    Args:
        columns: of the legend; by default fewer where names are long.
    """
    if columns is None:
        columns = max(2, min(4, LEGEND_LETTERS // (3 + max(map(len, colours)))))
    key = alt.Legend(columns=columns, symbolLimit=0) if legend else None
    return alt.Color(f"{field}:N", sort=[*colours], scale=colour_scale(colours), legend=key)


def colour_scale(colours: Mapping[str, str]) -> alt.Scale:
    """Return the scale that gives each key of `colours` its colour."""
    return alt.Scale(domain=[*colours], range=[*colours.values()])


def number_tip(field: str, title: str | None = None, style: str = ".4~g") -> alt.Tooltip:
    """Return the tooltip of a number."""
    return alt.Tooltip(field, type="quantitative", title=title or field, format=style)
