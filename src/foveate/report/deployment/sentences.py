"""The findings of `foveate deploy` in sentences."""

from collections.abc import Sequence

from foveate.evaluation.deployed import Drop
from foveate.evaluation.noise import BUSY
from foveate.notation import count, decimals, interval, listing, milliseconds, signed_percent
from foveate.records.deployment import EAGER
from foveate.records.labels import BASELINE, display_name, name_in_sentence, name_with_seed
from foveate.report.core.notation import points
from foveate.report.deployment.summary import Blame, DeployedSummary, FormSummary, MechanismDeployed

__all__ = ["deployed_sentences", "form_name"]


def form_name(form: FormSummary) -> str:
    """Name a form as a person reads it: "ONNX Runtime int8"."""
    if form.form == EAGER:
        return "eager float32"
    precision = {"fp32": "float32", "fp16": "float16"}.get(form.form.precision, form.form.precision)
    return f"ONNX Runtime {precision}{', gates too' * (form.form.gates == 'int8')}"


def deployed_sentences(summary: DeployedSummary) -> list[str]:
    """Return the findings: what is lost, how fast it is, which layer is to blame, how it was measured."""
    if not summary.rows:
        return ["No network could be deployed."]
    sentences = [_loss(summary, precision) for precision in summary.settings.precision[::-1]]
    sentences += [sentence for row in summary.rows if row.blame and (sentence := _blame(row, row.blame))]
    sentences += [sentence for sentence in (_speed(summary), _price(summary), _busy(summary)) if sentence]
    sentences.append(_how(summary))
    return sentences


def _loss(summary: DeployedSummary, precision: str) -> str:
    """Say what each mechanism loses in a precision, and which lose more than the margin."""
    margin = f"{100 * summary.settings.margin:g} points"
    found = [
        (row, form.drop)
        for row in summary.rows
        if (form := row.in_precision(precision)) is not None and form.drop is not None
    ]
    written = {"fp32": "float32", "fp16": "float16"}.get(precision, precision)
    beyond = [row.attention for row, drop in found if drop.is_beyond(summary.settings.margin)]
    if all(drop.lost + drop.gained == 0 for _, drop in found):
        return f"ONNX Runtime {written} gives every image the class that eager float32 gives it."
    if beyond:
        names = listing([name_in_sentence(name) for name in beyond])
        first = f"ONNX Runtime {written} loses more than {margin} of accuracy with {names}, significantly"
    else:
        first = f"Nothing was shown to lose more than {margin} of accuracy in ONNX Runtime {written}"
    changes = listing([f"{display_name(row.attention)} {_change(drop)}" for row, drop in found])
    return f"{first}. The change from eager float32, in points: {changes}."


def _change(drop: Drop) -> str:
    bounds = f" ({interval(drop.interval, 2, scale=100)})" if drop.interval else ""
    return f"{points(drop.difference)}{bounds}"


def _blame(row: MechanismDeployed, blame: Blame) -> str:
    """Say which stage, and which layer, recovers most."""
    found = blame.row
    name = name_with_seed(row.attention, found.seed)
    where = f"{found.images:,} {found.part_of_data} images"
    layer = blame.layer
    inside = (
        f"; of its layers, {layer.part} alone: {_percent(layer.accuracy)} %"
        if layer and layer.part != blame.stage.part
        else ""
    )
    return (
        f"{name}: on {where} int8 gets {_percent(found.int8_accuracy)} % and eager float32 "
        f"{_percent(found.float_accuracy)} %. Left in float32, {blame.stage.part} recovers most, to "
        f"{_percent(blame.stage.accuracy)} %{inside}."
    )


def _speed(summary: DeployedSummary) -> str:
    """Say how long the baseline, or else the first mechanism, takes in each form."""
    row = next((row for row in summary.rows if row.attention == BASELINE), summary.rows[0])
    timed = [(form, form.latency) for form in row.forms if form.latency is not None]
    if not timed:
        return ""
    said = listing([f"{milliseconds(latency.p50)} ms in {form_name(form)}" for form, latency in timed])
    threads = count(summary.settings.threads, "thread")
    return f"One image on {threads} takes {name_in_sentence(row.attention)} {said}."


def _price(summary: DeployedSummary) -> str:
    """Say what each mechanism adds to the latency of the baseline, form by form."""
    said = []
    for row in summary.rows:
        shown = [
            f"{signed_percent(100 * (form.latency.baseline_ratio - 1))} in {form_name(form)}"
            for form in row.forms
            if form.latency is not None and form.latency.baseline_ratio is not None
        ]
        if shown and row.attention != BASELINE:
            said.append(f"{display_name(row.attention)} {listing(shown)}")
    return f"Over the baseline in the same form: {'; '.join(said)}." if said else ""


def _busy(summary: DeployedSummary) -> str:
    rows = [form.latency for row in summary.rows for form in row.forms if form.latency is not None]
    shares = [row.cpu_share for row in rows if row.cpu_share is not None]
    eager: Sequence[float] = [row.p95 / row.p50 for row in rows if row.key.form == EAGER]
    if max([*eager, 0.0]) <= BUSY and min([*shares, 1.0]) * BUSY >= 1:
        return ""
    return (
        "The machine was busy while latency was measured, so times are rough; ratios are taken within "
        "rounds, in which all networks take turns."
    )


def _how(summary: DeployedSummary) -> str:
    """Say on which images, calibrated with which, and what the intervals allow for."""
    settings = summary.settings
    parts = [f"Measured on {summary.data.images:,} test images of {summary.data.name}"]
    if summary.calibrated_with:
        gates = "is quantised, too" if settings.quantise_gates else "stays in float32"
        calibrated = listing(summary.calibrated_with)
        parts.append(
            f"int8 is static and per channel, calibrated with {calibrated} for each network, and attention "
            f"{gates}"
        )
    several = any(row.runs > 1 for row in summary.rows)
    over = "seeds and images" if several else "the images of one network each"
    parts.append(f"intervals are at 95 %, over {over}, and the tests are adjusted for the mechanisms (Holm)")
    return "; ".join(parts) + "."


def _percent(share: float) -> str:
    return decimals(share, 2, scale=100)
