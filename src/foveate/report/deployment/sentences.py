"""The findings of `foveate deploy` in sentences."""

from collections.abc import Sequence

from foveate.evaluation.deployed import Drop
from foveate.evaluation.noise import BUSY
from foveate.notation import count, decimals, interval, listing, milliseconds, signed_percent
from foveate.records.deployment import EAGER, Form
from foveate.records.labels import BASELINE, display_name, name_in_sentence, name_with_seed
from foveate.report.core.notation import points
from foveate.report.deployment.summary import Blame, DeployedSummary, FormSummary, MechanismDeployed

__all__ = ["deployed_sentences", "form_name"]


RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
PRECISIONS = {"fp32": "float32", "fp16": "float16", "int8": "int8"}


def form_name(form: Form) -> str:
    """Name a form as a person reads it: "ONNX Runtime int8"."""
    runtime = "eager" if form == EAGER else RUNTIMES.get(form.runtime, form.runtime)
    precision = PRECISIONS.get(form.precision, form.precision)
    return f"{runtime} {precision}{', gates too' * (form.gates == 'int8')}"


def deployed_sentences(summary: DeployedSummary) -> list[str]:
    """Return the findings: what is lost, how fast it is, which layer is to blame, how it was measured."""
    if not summary.rows:
        return ["No network could be deployed."]
    forms = [form for form in summary.rows[0].forms if form.form != EAGER]
    changed = [form for form in forms if not _is_unchanged(summary, form)]
    sentences = [
        _loss(summary, form) for form in sorted(changed, key=lambda form: form.form.precision != "int8")
    ]
    if same := [form_name(form.form) for form in forms if form not in changed]:
        verb = "gives" if len(same) == 1 else "give"
        sentences.append(f"{listing(same)} {verb} every image the class that eager float32 gives it.")
    sentences += [sentence for row in summary.rows if row.blame and (sentence := _blame(row, row.blame))]
    sentences += [sentence for sentence in (_speed(summary), _price(summary), _busy(summary)) if sentence]
    sentences.append(_how(summary))
    return sentences


def _loss(summary: DeployedSummary, form: FormSummary) -> str:
    """Say what each mechanism loses in a form, and which lose more than the margin."""
    margin = f"{100 * summary.settings.margin:g} points"
    found = [
        (row, one.drop)
        for row in summary.rows
        if (one := row.in_form(form.form)) is not None and one.drop is not None
    ]
    written = form_name(form.form)
    beyond = [row.attention for row, drop in found if drop.is_beyond(summary.settings.margin)]
    if beyond:
        names = listing([name_in_sentence(name) for name in beyond])
        first = f"{written} loses more than {margin} of accuracy with {names}, significantly"
    else:
        first = f"Nothing was shown to lose more than {margin} of accuracy in {written}"
    changes = listing([f"{display_name(row.attention)} {_change(drop)}" for row, drop in found])
    return f"{first}. The change from eager float32, in points: {changes}."


def _is_unchanged(summary: DeployedSummary, form: FormSummary) -> bool:
    """Return whether each answer is right in this form where it is in eager float32, and wrong likewise."""
    found = [one.drop for row in summary.rows if (one := row.in_form(form.form)) and one.drop is not None]
    return all(drop.lost + drop.gained == 0 for drop in found)


def _change(drop: Drop) -> str:
    bounds = f" ({interval(drop.interval, 2, scale=100)})" if drop.interval else ""
    return f"{points(drop.difference)}{bounds}"


def _blame(row: MechanismDeployed, blame: Blame) -> str:
    """Say which stage, and which layer, recovers most."""
    found = blame.row
    name = name_with_seed(row.attention, found.seed)
    where = f"{found.images:,} {found.part_of_data} images"
    inside = ""
    if blame.layer is not None and blame.layer.part != blame.stage.part:
        recovered, alone = (one.accuracy - found.int8_accuracy for one in (blame.stage, blame.layer))
        inside = (
            f"; of its layers {blame.layer.part} alone recovers most, to {_percent(blame.layer.accuracy)} %"
            if 2 * alone >= recovered
            else "; no layer of it recovers half of that alone"
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
    said = listing([f"{milliseconds(latency.p50)} ms in {form_name(form.form)}" for form, latency in timed])
    threads = count(summary.settings.threads, "thread")
    return f"One image on {threads} takes {name_in_sentence(row.attention)} {said}."


def _price(summary: DeployedSummary) -> str:
    """Say what each mechanism adds to the latency of the baseline, form by form."""
    said = []
    for row in summary.rows:
        shown = [
            f"{signed_percent(100 * (form.latency.baseline_ratio - 1))} in {form_name(form.form)}"
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
