"""The charts of `foveate deploy`: what each form changes in accuracy, and what attention costs in it."""

from foveate.notation import interval, ratio_range
from foveate.records.labels import BASELINE, display_name
from foveate.report.core.charts.axes import Axis, Caption
from foveate.report.core.charts.forest import ROOMY, ForestRow, Heading, forest_figure
from foveate.report.core.notation import points
from foveate.report.core.theme import Figure, mechanism_colours, mechanism_names
from foveate.report.deployment.sentences import form_name
from foveate.report.deployment.summary import DeployedSummary

__all__ = ["deployed_figures"]

GROUP = "deployed"
CHANGE = Axis("change", "Change in accuracy from eager float32, points", 100, "+.2f", padding=28)
RATIO = Axis("ratio", "Latency, times the baseline's in the same form", style=".3f", padding=28)


def deployed_figures(summary: DeployedSummary) -> list[Figure]:
    """Make the figures of changes in accuracy, and of latency beside the baseline."""
    colours = mechanism_colours(mechanism_names(row.attention for row in summary.rows))
    return [
        *_figure(_changes(summary, colours), summary, is_change=True),
        *_figure(_ratios(summary, colours), summary, is_change=False),
    ]


def _figure(rows: list[ForestRow | Heading], summary: DeployedSummary, *, is_change: bool) -> list[Figure]:
    estimates = [row for row in rows if isinstance(row, ForestRow)]
    if not estimates:
        return []
    said = "; ".join(f"{row.tips['mechanism']} in {row.tips['form']} {row.label}" for row in estimates)
    if is_change:
        title = "What each form changes in accuracy"
        caption = Caption("deployed_change", GROUP, title, f"{title}, in points: {said}.")
        return [forest_figure(caption, rows, CHANGE, margin=summary.settings.margin, marks=ROOMY)]
    title = "What attention costs in each form"
    caption = Caption("deployed_latency", GROUP, title, f"{title}, latency over the baseline's: {said}.")
    return [forest_figure(caption, rows, RATIO, reference=1.0, marks=ROOMY)]


def _changes(summary: DeployedSummary, colours: dict[str, str]) -> list[ForestRow | Heading]:
    rows: list[ForestRow | Heading] = []
    for number, form in enumerate(summary.rows[0].forms):
        found = [(row, row.forms[number].drop) for row in summary.rows if number < len(row.forms)]
        if all(drop is None or drop.lost + drop.gained == 0 for _, drop in found):
            continue  # of eager float32, and where no answer changes, there is nothing to see
        rows.append(Heading(form_name(form.form)))
        for row, drop in found:
            if drop is not None:
                name = display_name(row.attention)
                label = f"{points(drop.difference)} ({interval(drop.interval, 2, scale=100)})"
                rows.append(
                    ForestRow(
                        name,
                        {"mechanism": name, "form": form_name(form.form)},
                        colours[name],
                        drop.difference,
                        drop.interval,
                        label=label if drop.interval else points(drop.difference),
                        is_doubtful=not drop.is_significant,
                    )
                )
    return rows


def _ratios(summary: DeployedSummary, colours: dict[str, str]) -> list[ForestRow | Heading]:
    rows: list[ForestRow | Heading] = []
    for number, form in enumerate(summary.rows[0].forms):
        found = [(row, row.forms[number].latency) for row in summary.rows if row.attention != BASELINE]
        shown = [(row, one) for row, one in found if one is not None and one.baseline_ratio is not None]
        if shown:
            rows.append(Heading(form_name(form.form)))
        for row, one in shown:
            name = display_name(row.attention)
            bounds = one.baseline_ratio_ci95
            rows.append(
                ForestRow(
                    name,
                    {"mechanism": name, "form": form_name(form.form)},
                    colours[name],
                    float(one.baseline_ratio or 1.0),
                    bounds,
                    label=f"{one.baseline_ratio:.2f}× ({ratio_range(bounds)})",
                    is_doubtful=bounds is None or bounds[0] <= 1 <= bounds[1],
                )
            )
    return rows
