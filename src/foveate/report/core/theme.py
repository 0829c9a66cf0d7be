"""What all figures share: a figure's record, the colours of mechanisms, and the light and the dark theme.

One Vega-Lite specification serves the page and the files. Colours that must follow a light or a dark page
come from `theme`, as the parameters ink, paper and quiet; those of mechanisms are mid-tones that stand out
from both.
"""

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

import altair as alt

from foveate.records.labels import BASELINE, display_name

__all__ = [
    "COLOURS",
    "PLAIN_COLOUR",
    "Figure",
    "mechanism_colour",
    "mechanism_names",
    "number_tip",
    "specification",
    "theme",
]

FONT = 'system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif'
PLAIN_COLOUR = "#7d848c"
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


@dataclass(frozen=True)
class Figure:
    """A chart: its file's stem, its group in the page, its title, itself in words, its specification."""

    name: str
    group: str
    title: str
    description: str
    spec: dict[str, Any]


def theme(tone: Literal["light", "dark"]) -> dict[str, Any]:
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
            },
        },
        "legend": {**text, "labelColor": ink, "title": None, "symbolOpacity": 1, "orient": "top"},
        "range": {"heatmap": HEAT[tone]},
    }


def specification(chart: alt.LayerChart | alt.FacetChart, description: str, height: int) -> dict[str, Any]:
    """Return a chart's specification, as wide as what contains it; a file gives it a width of its own."""
    spec = chart.properties(width="container", height=height, description=description).to_dict()
    # Altair's defaults for size and theme would come before the page's.
    spec.pop("config", None)
    return {**spec, "autosize": {"type": "fit-x", "contains": "padding"}}


def mechanism_names(summary: dict[str, Any]) -> list[str]:
    """Return the names of the mechanisms as shown, in the order of the rows."""
    return [display_name(row["attention"]) for row in summary["rows"]]


def mechanism_colour(summary: dict[str, Any], *, legend: bool = False) -> alt.Color:
    """Encode the field `mechanism` as colour: plain grey, the others one each, the same in all figures."""
    names, colours = mechanism_names(summary), cycle(COLOURS)
    palette = [PLAIN_COLOUR if name == display_name(BASELINE) else next(colours) for name in names]
    scale = alt.Scale(domain=names, range=palette)
    # Few columns where names are long: a phone shows some forty letters side by side.
    columns = max(2, min(4, 40 // (3 + max(map(len, names)))))
    return alt.Color("mechanism:N", scale=scale, legend=alt.Legend(columns=columns) if legend else None)


def number_tip(field: str, title: str | None = None, style: str = ".4~g") -> alt.Tooltip:
    """Return the tooltip of a number."""
    return alt.Tooltip(field, type="quantitative", title=title or field, format=style)
