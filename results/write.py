"""What is kept of measured studies, and what is written from it: README.md's block and results/README.md.

    python results/write.py                                       write both from the records that are kept
    python results/write.py keep STUDY NAME [--against ARTICLE]   first keep a study's records as results/NAME
    python results/write.py merge STUDY … --out STUDY             join slices of one study, then `keep` it

A record is the summary that `foveate report STUDY --json` gives, without paths of the machine it was made on.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from foveate.errors import RequestError, WorkError
from foveate.evaluation.comparisons import Comparison
from foveate.files import write_json, write_text
from foveate.notation import count, p_value
from foveate.records.base import Json, Record
from foveate.records.examination import ExaminationRecord
from foveate.records.files import COST, RESULT, RUNS, STUDY, read_record, write_record
from foveate.records.labels import BASELINE
from foveate.records.study import StudyRecord
from foveate.report.core.files import as_markdown
from foveate.report.core.tables import Cell, Table
from foveate.report.joined.studies import JoinedStudies
from foveate.report.joined.tables import joined_table
from foveate.report.sections import Examined, find_examined
from foveate.report.study.build import build_report
from foveate.report.study.claims import claims, conditions, with_points
from foveate.report.study.contrasts import contrasts_table, values_table
from foveate.report.study.kept import summary_from_json
from foveate.report.study.summary import Summary

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
MACHINE_PATH = re.compile(r"(?<![\w./:~-])(?:~|(?:\.\./)*\.\.)?(?:/[\w.+@-]+)+/?")
"""An absolute path, one that starts at home, or one that leaves the folder; no address and no owner/name."""
TABLES = ("results.md", "tests.md", "contrasts.md", "values.md")
FEW_EPOCHS, CONVERGED = 30, 0.9
"""With fewer epochs, and a lower accuracy of the baseline than this, networks are not converged."""
SAME_STUDY = ("data", "backbone", "design", "pretrained", "recipe")
"""What slices of one study have in common, besides the ids of their runs."""


@dataclass(frozen=True)
class KeptExamination:
    """What is kept of an examination: its command and settings, its findings, and its main table."""

    title: str
    command: str
    settings: dict[str, Json]
    sentences: list[str]
    table: str


@dataclass(frozen=True)
class Result:
    """A study that is kept: its summary, and what was examined of its networks."""

    summary: Summary
    examined: tuple[KeptExamination, ...] = ()


def keep_results(study: Path, name: str, against: str | None = None, root: Path = ROOT) -> Path:
    """Keep the records of the folder `study` as results/`name`: its summary and its tables.

    Raises:
        RequestError: `name` is not the name of a folder, or `study` is no study.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise RequestError(
            f"a result's name is letters, digits, dots, dashes and underscores, given {name!r}"
        )
    summary = build_report(study, against)
    report, kept = summary.report.parent, root / "results" / name
    earlier, earlier_tables = _examined_before(kept, summary)
    if kept.exists():
        shutil.rmtree(kept)
    examined = find_examined(study)
    # System and release: a kernel's build says nothing to a reader elsewhere.
    platform = "-".join(summary.study.environment.platform.split("-")[:2])
    environment = summary.study.environment.model_copy(update={"platform": platform})
    of_study = summary.study.model_copy(update={"environment": environment})
    content = replace(summary, study=of_study).to_json()
    del content["report"]
    in_short = [examined_in_short(one) for one in examined] or earlier
    content["examined"] = [asdict(one) for one in in_short]
    write_json(kept / "summary.json", without_paths(content))
    tables = [table.name for one in examined for table in one.section.tables]
    for table in (*TABLES, *(f"{name}.md" for name in tables)):
        if (report / table).is_file():
            write_text(kept / table, (report / table).read_text(encoding="utf-8"))
    for table, text in earlier_tables.items() if not examined else ():
        write_text(kept / table, text)
    return kept


def _examined_before(kept: Path, summary: Summary) -> tuple[Sequence[KeptExamination], dict[str, str]]:
    """Return the examinations in `kept` and their tables, if all its networks are in `summary` unchanged.

    A study that was extended by a mechanism has the runs that were examined before, bit for bit.
    """
    if not (kept / "summary.json").is_file():
        return (), {}
    before, now = read_result(kept), _values(summary)
    if any(now.get(label) != values for label, values in _values(before.summary).items()):
        return (), {}
    tables = {
        file.name: file.read_text(encoding="utf-8") for file in kept.glob("*.md") if file.name not in TABLES
    }
    return before.examined, tables


def _values(summary: Summary) -> dict[str, tuple[float, ...]]:
    """Return the values of the primary metric by candidate, one for each seed."""
    return {row.attention: row.scores[summary.metric.name].values for row in summary.rows}


def merge_slices(slices: Sequence[Path], out: Path) -> tuple[int, int]:
    """Join slices of one study in `out`; return how many of its runs are finished, and how many there are.

    Slices are folders that `foveate compare` or benchmarks/on_gpu.py wrote, of the same images, network,
    recipe and mechanisms; seeds may differ. Of a run that several have finished, the first slice's counts.

    Raises:
        RequestError: a folder is no study, or one of another study.
    """
    studies = [read_record(folder / STUDY, StudyRecord) for folder in slices]
    first = studies[0]
    for folder, study in zip(slices[1:], studies[1:], strict=True):
        for key in SAME_STUDY:
            if _without_place(getattr(study, key)) != _without_place(getattr(first, key)):
                raise RequestError(f"{folder} is no slice of the study in {slices[0]}: its {key} is another")
    runs = {run.id: run for study in studies for run in study.runs}
    for folder in slices:
        for run in runs:
            source, target = folder / RUNS / run, out / RUNS / run
            if (source / RESULT).is_file() and not target.exists():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".lock", "*.ckpt"))
    costs = [folder / COST for folder in slices if (folder / COST).is_file()]
    if costs:
        shutil.copy(costs[0], out / COST)
    joined = {
        "runs": tuple(runs.values()),
        "seeds": tuple(sorted({seed for study in studies for seed in study.seeds})),
        "attention": tuple(dict.fromkeys(label for study in studies for label in study.attention)),
        "failed": (),
    }
    write_record(out / STUDY, first.model_copy(update=joined))
    return sum((out / RUNS / run / RESULT).is_file() for run in runs), len(runs)


def _without_place(value: object) -> object:
    """Return `value` without the place of the images: the fingerprint says which they are."""
    if isinstance(value, Record):
        value = value.to_json()
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("source", "name")}


def examined_in_short(examined: Examined) -> KeptExamination:
    """Return what is kept of an examination."""
    record: ExaminationRecord[Any] = examined.record
    section = examined.section
    return KeptExamination(
        title=section.title,
        command=record.command,
        settings=record.settings.to_json(),
        sentences=list(section.sentences),
        table=as_markdown(section.tables[0]) if section.tables else "",
    )


def without_paths(value: Json) -> Json:
    """Return `value` with only the last name of each path of this machine, wherever a text has one."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if isinstance(value, str):
        return MACHINE_PATH.sub(lambda path: Path(path[0]).name, value)
    return value


def read_results(root: Path = ROOT) -> dict[str, Result]:
    """Return the studies that are kept, by name."""
    files = sorted((root / "results").glob("*/summary.json"))
    return {file.parent.name: read_result(file.parent) for file in files}


def read_result(kept: Path) -> Result:
    """Return the study that is kept in the folder `kept`."""
    content = json.loads((kept / "summary.json").read_text(encoding="utf-8"))
    examined = tuple(KeptExamination(**one) for one in content.pop("examined", ()))
    return Result(summary_from_json(content), examined)


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
        parts += [
            f"**{title(summary)}** ([results/{name}](results/{name})): {setting(summary)}",
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
    return f"{study.backbone} on {study.data.name}{subject}"


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
        f"{data.train:,} training images{part} of {data.image_size}×{data.image_size} pixels; {machine}, "
        f"torch {made.torch}, foveate {summary.study.foveate}; latency at batch {batch}."
    )


def epochs_of(summary: Summary) -> int:
    """Return the number of epochs of the recipe."""
    return int(str(summary.study.recipe["epochs"]))


def undertrained(summary: Summary) -> list[str]:
    """Say that a short training tells nothing about long ones; nothing where the networks have learned."""
    metric, epochs = summary.metric, epochs_of(summary)
    baseline = next((row for row in summary.rows if row.attention == BASELINE), None)
    reached = baseline.scores[metric.name].mean if baseline else None
    is_share = metric.unit == "percent" and metric.higher_is_better
    if reached is None or not is_share or epochs >= FEW_EPOCHS or reached >= CONVERGED:
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


def main() -> None:
    """Keep or join studies if asked to, then write both documents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command")
    keep = commands.add_parser("keep", help="keep a study's records")
    keep.add_argument("study", type=Path)
    keep.add_argument("name")
    keep.add_argument("--against", help="dmsca-article or sgfa-article")
    merge = commands.add_parser("merge", help="join slices of one study")
    merge.add_argument("studies", type=Path, nargs="+")
    merge.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        if given.command == "merge":
            finished, runs = merge_slices(given.studies, given.out)
            print(f"{given.out}: {finished} of {count(runs, 'run')} are finished")
            return
        if given.command == "keep":
            print(keep_results(given.study, given.name, given.against))
        for path, text in documents().items():
            write_text(path, text)
            print(path.relative_to(ROOT))
    except (RequestError, WorkError) as error:
        sys.exit(f"results: {error}")


if __name__ == "__main__":
    main()
