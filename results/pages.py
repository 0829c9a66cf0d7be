"""The pages that are written from the records that are kept: README.md's block and results/README.md."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from foveate.errors import WorkError
from foveate.evaluation.comparisons import Comparison
from foveate.notation import count, p_value
from foveate.records.base import Json
from foveate.records.labels import BASELINE
from foveate.records.metric import CLASSIFICATION, DETECTION, SEGMENTATION
from foveate.report.core.files import as_markdown
from foveate.report.core.tables import Cell, Table
from foveate.report.joined.studies import JoinedStudies
from foveate.report.joined.tables import joined_table
from foveate.report.study.claims import claims, conditions, with_points
from foveate.report.study.contrasts import contrasts_table, values_table
from foveate.report.study.summary import Summary
from keep import ROOT, Result, read_results

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"][
    "Repository"
]
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
FEW_EPOCHS, CONVERGED = 30, 0.9
"""With fewer epochs, and a lower accuracy of the baseline than this, classifiers are not converged."""


def documents(root: Path = ROOT) -> dict[Path, str]:
    """Return the text of both documents, by path.

    Raises:
        WorkError: README.md has not one block between the two marks.
    """
    results, readme = read_results(root), root / "README.md"
    text = readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise WorkError(f"{readme} must have one {BEGIN} and after it one {END}")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return {
        readme: f"{before}{BEGIN}\n{in_short(results)}{END}{after}",
        root / "results" / "README.md": at_length(results),
    }


def in_short(results: Mapping[str, Result]) -> str:
    """Return the block of README.md: setting, verdict and table of each study, and an article's claims."""
    if not results:
        return "No measured study is kept yet.\n"
    parts = []
    for name, result in results.items():
        summary = result.summary
        folder = f"[results/{name}]({REPOSITORY}/tree/main/results/{name})"
        parts += [
            f"**{title(summary)}** ({folder}): {setting(summary)}",
            summary.verdict[0],
            as_markdown(main_table(summary)).rstrip(),
            *undertrained(summary),
            *identity_starts(summary),
            *article(summary),
            *(f"{one.title}: {one.sentences[0]}" for one in result.examined),
        ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def at_length(results: Mapping[str, Result]) -> str:
    """Return results/README.md: the same with command, versions, hardware, recipe, and the whole verdict."""
    parts = [
        "# Results",
        "What was measured, each study in a folder of its own: `summary.json` is what `foveate report STUDY "
        "--json` gives, beside it lie its tables. This page and the block in the top README.md are written "
        "from these records by `make results`; `python results/write.py keep STUDY NAME` keeps another one. "
        "± is the sample standard deviation over seeds. Latencies are comparable inside of a study only. "
        "Columns of an article are its printed figures, marked as theirs.",
    ]
    for name, result in results.items():
        parts += _study_at_length(name, result.summary)
        for one in result.examined:
            said = [f"### {one.title}", " ".join(one.sentences), one.table.rstrip()]
            parts += [*filter(None, said), f"```sh\n{one.command}\n```"]
    if not results:
        parts.append("No measured study is kept yet.")
    return "\n\n".join(parts) + "\n"


def _study_at_length(name: str, summary: Summary) -> list[str]:
    study, data = summary.study, summary.study.data
    tables = [main_table(summary)]
    if study.design.kind in ("ablate", "sweep"):
        tables.append(rows_table(summary))
    listed = ", ".join(f"{key} {written(value)}" for key, value in study.recipe.items())
    made = study.environment.to_json()
    return [
        f"## {name}",
        f"{title(summary)}: {setting(summary)}",
        " ".join([*summary.verdict, *summary.missing]),
        *(as_markdown(table).rstrip() for table in tables),
        *undertrained(summary),
        *identity_starts(summary),
        *article(summary),
        f"```sh\n{study.command}\n```",
        f"Seeds {written(list(study.seeds))}. Data {data.name}, fingerprint {data.fingerprint[:12]}…; "
        f"{data.train:,} images train, {data.validation:,} validate, {data.test:,} test. Recipe: {listed}.",
        "Made with " + ", ".join(f"{key} {value}" for key, value in made.items()) + ".",
    ]


def title(summary: Summary) -> str:
    """Return what was studied, on what."""
    study = summary.study
    what = {"ablate": "the parts of {}", "sweep": "the options of {}"}.get(study.design.kind, "")
    subject = f", {what.format(study.design.subject)}" if what else ""
    return f"{study.network} on {study.data.name}{subject}"


def setting(summary: Summary) -> str:
    """Say how much was trained, on which machine."""
    data, made = summary.study.data, summary.study.environment
    share = data.train_fraction
    part = f" ({100 * share:g} % of the training part)" if share not in (None, 1) else ""
    cores = f"{made.cores} cores of {made.processor}"
    machine = cores if made.accelerator == "cpu" else f"{made.accelerator} ({cores})"
    batch = "unknown" if summary.cost.batch_size is None else summary.cost.batch_size
    return (
        f"{count(len(summary.study.seeds), 'seed')}, {count(epochs_of(summary), 'epoch')}, "
        f"{data.train:,} training images{part} of {_pixels(summary)}; {machine}, "
        f"torch {made.torch}, foveate {summary.study.foveate}; latency at batch {batch}."
    )


def _pixels(summary: Summary) -> str:
    """Return the size of the images; those of detectors and segmenters have several."""
    size = summary.study.data.image_size
    sizes = {
        DETECTION.name: f"{size} pixels on the short side",
        SEGMENTATION.name: f"any size, in crops of {size}×{size} pixels",
    }
    return sizes.get(summary.study.task.name, f"{size}×{size} pixels")


def epochs_of(summary: Summary) -> int:
    """Return the number of epochs of the recipe."""
    return int(str(summary.study.recipe["epochs"]))


def undertrained(summary: Summary) -> list[str]:
    """Say that a short training tells nothing about long ones; nothing where the networks have learned."""
    epochs = epochs_of(summary)
    baseline = next((row for row in summary.rows if row.attention == BASELINE), None)
    if baseline is None or summary.study.task != CLASSIFICATION:
        return []
    reached = baseline.scores[CLASSIFICATION.primary.name].mean
    if reached is None or epochs >= FEW_EPOCHS or reached >= CONVERGED:
        return []
    return [
        f"These networks are not converged: after {count(epochs, 'epoch')} the network without attention is "
        f"at {100 * reached:.0f} %. That says nothing about networks trained to the end."
    ]


def identity_starts(summary: Summary) -> list[str]:
    """Say what a mechanism gains by starting as the identity; nothing where no pair of both was trained."""
    labels = [row.attention for row in summary.rows]
    said = []
    for label in labels:
        start = f"{label}(identity_init=True)"
        if start not in labels:
            continue
        against = [_gain(summary, start, other) for other in (label, BASELINE)]
        if all(against):
            said.append(f"- {label}: {against[0]} over its default start, {against[1]} over the baseline")
    if not said:
        return []
    unit = summary.metric.unit_of_differences
    return [
        "Started as the identity (`identity_init`: its gate opens from 0) and not with gates near one half, "
        f"{f'in {unit}, ' if unit else ''}with 95 % intervals and p adjusted for all pairs:\n\n"
        + "\n".join(said)
    ]


def _gain(summary: Summary, of: str, over: str) -> str | None:
    """Write the gain of one mechanism over another with its interval, whichever way it was tested."""
    test: Comparison | None = next((one for one in summary.comparisons if one.pair == {of, over}), None)
    if test is None or test.gain is None:
        return None
    metric, sign = summary.metric, 1 if test.b == of else -1
    bounds = sorted(sign * bound for bound in metric.gains(test.test.ci95 or ()))
    interval = f" ({' to '.join(map(metric.write_difference, bounds))})" if bounds else ""
    p = f", p {p_value(test.p_adjusted)}" if test.p_adjusted is not None else ""
    return f"{metric.write_difference(sign * test.gain)}{interval}{p}"


def article(summary: Summary) -> list[str]:
    """Return an article's claims beside the study's intervals; nothing where it is set against none."""
    if summary.against is None:
        return []
    by = f"Beside {summary.against.by}: {' '.join(conditions(summary))}"
    said = claims(summary)
    return [by, "\n".join(f"- {sentence}" for sentence in said)] if said else [by]


def main_table(summary: Summary) -> Table:
    """Return the planned comparisons, the values of a sweep, or the candidates."""
    if summary.study.design.kind == "ablate":
        table = with_points(contrasts_table(summary), summary)
    else:
        table = values_table(summary)
    return table or rows_table(summary)


def rows_table(summary: Summary) -> Table:
    """Return one row a candidate: what it reached, its gain over the baseline, and what it costs."""
    table = joined_table(JoinedStudies((summary,), (), summary.report))
    # Of one study alone: its name below each mechanism says nothing.
    return replace(table, rows=[[Cell(name.main), *cells] for name, *cells in table.rows])


def written(value: Json) -> str:
    """Write the value of a setting as it stands in a sentence."""
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
