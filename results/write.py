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
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foveate.report.core.sections import Examined, find_examined

from foveate.errors import RequestError, WorkError
from foveate.files import write_json, write_text
from foveate.records.labels import BASELINE
from foveate.records.study import read_record
from foveate.report.core.files import as_markdown
from foveate.report.core.notation import count, p_value, points
from foveate.report.core.tables import Cell, Table
from foveate.report.joined.tables import joined_table
from foveate.report.study.build import build_report
from foveate.report.study.claims import claims, conditions, with_points
from foveate.report.study.contrasts import contrasts_table, values_table

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
MACHINE_PATH = re.compile(r"(?<![\w./:~-])(?:~|(?:\.\./)*\.\.)?(?:/[\w.+@-]+)+/?")
"""An absolute path, one that starts at home, or one that leaves the folder; no address and no owner/name."""
TABLES = ("results.md", "tests.md", "contrasts.md", "values.md")
FEW_EPOCHS, CONVERGED = 30, 0.9
"""With fewer epochs, and less accuracy than this of plain, a study is one of networks that learn still."""
SAME_STUDY = ("data", "backbone", "design", "pretrained", "recipe")
"""What slices of one study have in common, besides the ids of their runs."""

Summary = dict[str, Any]


def keep_results(study: Path, name: str, against: str | None = None, root: Path = ROOT) -> Path:
    """Keep the records of the folder `study` as results/`name`: its summary and its tables.

    Raises:
        RequestError: `name` is no plain folder name, or `study` is no study.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise RequestError(
            f"a result's name is letters, digits, dots, dashes and underscores, given {name!r}"
        )
    summary = build_report(study, against)
    report = Path(summary.pop("report")).parent
    kept = root / "results" / name
    earlier, earlier_tables = _examined_before(kept, summary)
    if kept.exists():
        shutil.rmtree(kept)
    environment = summary["study"]["environment"]
    # System and release: a kernel's build says nothing to a reader elsewhere.
    environment["platform"] = "-".join(environment["platform"].split("-")[:2])
    examined = find_examined(study)
    summary["examined"] = [examined_in_short(one) for one in examined] or earlier
    write_json(kept / "summary.json", without_paths(summary))
    tables = [table.name for one in examined for table in one.section.tables]
    for table in (*TABLES, *(f"{name}.md" for name in tables)):
        if (report / table).is_file():
            write_text(kept / table, (report / table).read_text(encoding="utf-8"))
    for table, text in earlier_tables.items() if not examined else ():
        write_text(kept / table, text)
    return kept


def _examined_before(kept: Path, summary: Summary) -> tuple[list[Any], dict[str, str]]:
    """Return what is kept of examinations, and their tables, if all its networks are in `summary` unchanged.

    A study that was extended by a mechanism has the runs that were examined before, bit for bit.
    """
    if not (kept / "summary.json").is_file():
        return [], {}
    before = json.loads((kept / "summary.json").read_text(encoding="utf-8"))
    now = {row["attention"]: row["accuracy"]["values"] for row in summary["rows"]}
    if any(now.get(row["attention"]) != row["accuracy"]["values"] for row in before["rows"]):
        return [], {}
    tables = {
        file.name: file.read_text(encoding="utf-8") for file in kept.glob("*.md") if file.name not in TABLES
    }
    return before.get("examined", []), tables


def merge_slices(slices: Sequence[Path], out: Path) -> tuple[int, int]:
    """Join slices of one study in `out`; return how many of its runs are finished, and how many there are.

    Slices are folders that `foveate compare` or benchmarks/on_gpu.py wrote, of the same images, network,
    recipe and mechanisms; seeds may differ. Of a run that several have finished, the first slice's counts.

    Raises:
        RequestError: a folder is no study, or one of another study.
    """
    studies = [read_record(folder / "study.json") for folder in slices]
    first = studies[0]
    for folder, study in zip(slices[1:], studies[1:], strict=True):
        for key in SAME_STUDY:
            if _without_place(study.get(key)) != _without_place(first.get(key)):
                raise RequestError(f"{folder} is no slice of the study in {slices[0]}: its {key} is another")
    runs = {run["id"]: run for study in studies for run in study["runs"]}
    for folder in slices:
        for run in runs:
            source, target = folder / "runs" / run, out / "runs" / run
            if (source / "result.json").is_file() and not target.exists():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".lock", "*.ckpt"))
    costs = [folder / "cost.json" for folder in slices if (folder / "cost.json").is_file()]
    if costs:
        shutil.copy(costs[0], out / "cost.json")
    seeds = sorted({seed for study in studies for seed in study["seeds"]})
    attention = list(dict.fromkeys(label for study in studies for label in study["attention"]))
    joined = first | {"runs": list(runs.values()), "seeds": seeds, "attention": attention, "failed": []}
    write_json(out / "study.json", joined)
    return sum((out / "runs" / run / "result.json").is_file() for run in runs), len(runs)


def _without_place(value: Any) -> Any:
    """Leave out where the images lay: it is the fingerprint that says what they are."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if key not in ("source", "name")}


def examined_in_short(examined: Examined) -> dict[str, Any]:
    """What is kept of an examination: how it was asked for, what was found, and the table with the gist."""
    section = examined.section
    return {
        "title": section.title,
        "command": examined.record["command"],
        "settings": examined.record["settings"],
        "sentences": section.sentences,
        "table": as_markdown(section.tables[0]) if section.tables else "",
    }


def without_paths(value: Any) -> Any:
    """Leave of each path of this machine, wherever it stands in a text of `value`, its last name."""
    if isinstance(value, dict):
        return {key: without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_paths(item) for item in value]
    if isinstance(value, str):
        return MACHINE_PATH.sub(lambda path: Path(path[0]).name, value)
    return value


def read_results(root: Path = ROOT) -> dict[str, Summary]:
    """The summaries that are kept, by name."""
    files = sorted((root / "results").glob("*/summary.json"))
    return {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def documents(root: Path = ROOT) -> dict[Path, str]:
    """The two documents as they are to be, by path.

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


def in_short(results: dict[str, Summary]) -> str:
    """README.md's block: each study's setting, verdict and table, and what an article's claims came to."""
    if not results:
        return "No measured study is kept yet.\n"
    parts = []
    for name, summary in results.items():
        parts += [
            f"**{title(summary)}** ([results/{name}](results/{name})): {setting(summary)}",
            summary["verdict"][0],
            as_markdown(main_table(summary)).rstrip(),
            *undertrained(summary),
            *identity_starts(summary),
            *article(summary),
            *(f"{one['title']}: {one['sentences'][0]}" for one in summary.get("examined", [])),
        ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def at_length(results: dict[str, Summary]) -> str:
    """results/README.md: the same with command, versions, hardware and recipe, and the whole verdict."""
    parts = [
        "# Results",
        "What was measured, each study in a folder of its own: `summary.json` is what `foveate report STUDY "
        "--json` gives, beside it lie its tables. This page and the block in the top README.md are written "
        "from these records by `make results`; `python results/write.py keep STUDY NAME` keeps another one. "
        "± is the sample standard deviation over seeds. Latencies are comparable inside of a study only. "
        "Columns of an article are its printed figures, marked as theirs.",
    ]
    for name, summary in results.items():
        study = summary["study"]
        tables = [main_table(summary)]
        if study["design"]["kind"] in ("ablate", "sweep"):
            tables.append(rows_table(summary))
        listed = ", ".join(f"{key} {plain_words(value)}" for key, value in study["recipe"].items())
        parts += [
            f"## {name}",
            f"{title(summary)}: {setting(summary)}",
            " ".join([*summary["verdict"], *summary["missing"]]),
            *(as_markdown(table).rstrip() for table in tables),
            *undertrained(summary),
            *identity_starts(summary),
            *article(summary),
            f"```sh\n{study['command']}\n```",
            f"Seeds {plain_words(study['seeds'])}. Data {study['data']['name']}, fingerprint "
            f"{study['data']['fingerprint'][:12]}…; {study['data']['train']:,} images train, "
            f"{study['data']['validation']:,} validate, {study['data']['test']:,} test. Recipe: {listed}.",
            "Made with " + ", ".join(f"{key} {value}" for key, value in study["environment"].items()) + ".",
        ]
        for one in summary.get("examined", []):
            said = [f"### {one['title']}", " ".join(one["sentences"]), one["table"].rstrip()]
            parts += [*filter(None, said), f"```sh\n{one['command']}\n```"]
    if not results:
        parts.append("No measured study is kept yet.")
    return "\n\n".join(parts) + "\n"


def title(summary: Summary) -> str:
    """What was studied, on what."""
    study = summary["study"]
    what = {"ablate": "the parts of {}", "sweep": "the options of {}"}.get(study["design"]["kind"], "")
    subject = f", {what.format(study['design']['subject'])}" if what else ""
    return f"{study['backbone']} on {study['data']['name']}{subject}"


def setting(summary: Summary) -> str:
    """How much was trained, on which machine."""
    study = summary["study"]
    data, made = study["data"], study["environment"]
    share = data.get("train_fraction")
    part = f" ({100 * share:g} % of the training part)" if share not in (None, 1) else ""
    cores = f"{made['cores']} cores of {made['processor']}"
    machine = cores if made["accelerator"] == "cpu" else f"{made['accelerator']} ({cores})"
    seeds, epochs = count(len(study["seeds"]), "seed"), count(study["recipe"]["epochs"], "epoch")
    return (
        f"{seeds}, {epochs}, {data['train']:,} training images{part} of {data['image_size']}×"
        f"{data['image_size']} pixels; {machine}, torch {made['torch']}, foveate {study['foveate']}; "
        f"latency at batch {study['cost'].get('batch_size', 'unknown')}."
    )


def undertrained(summary: Summary) -> list[str]:
    """Say that a short training tells nothing about long ones; nothing where the networks have learned."""
    epochs = summary["study"]["recipe"]["epochs"]
    plain = next((row for row in summary["rows"] if row["attention"] == BASELINE), None)
    if plain is None or epochs >= FEW_EPOCHS or plain["accuracy"]["mean"] >= CONVERGED:
        return []
    return [
        f"These networks are not converged: after {count(epochs, 'epoch')} the network without attention is "
        f"at {100 * plain['accuracy']['mean']:.0f} %. That says nothing about networks trained to the end."
    ]


def identity_starts(summary: Summary) -> list[str]:
    """Say what a mechanism gains by starting as the identity; nothing where no pair of both was trained."""
    tests = {(test["a"], test["b"]): test for test in summary["tests"]}
    labels = [row["attention"] for row in summary["rows"]]
    said = []
    for label in labels:
        start = f"{label}(identity_init=True)"
        if start not in labels:
            continue
        against = [_gain(tests, start, other) for other in (label, BASELINE)]
        if all(against):
            said.append(f"- {label}: {against[0]} over its default start, {against[1]} over plain")
    if not said:
        return []
    return [
        "Started as the identity (`identity_init`: its gate opens from 0) and not with gates near one half, "
        "in points, with 95 % intervals and p adjusted for all pairs:\n\n" + "\n".join(said)
    ]


def _gain(tests: dict[tuple[str, str], Any], of: str, over: str) -> str | None:
    """The difference in points between two mechanisms with its interval, whichever way it was tested."""
    test, sign = tests.get((over, of)), 1  # a test's difference is that of b over a
    if test is None:
        test, sign = tests.get((of, over)), -1
    if test is None or test["difference"] is None:
        return None
    low_high = [points(bound) for bound in sorted(sign * bound for bound in test["ci95"] or ())]
    interval = f" ({' to '.join(low_high)})" if low_high else ""
    p = f", p {p_value(test['p_adjusted'])}" if test["p_adjusted"] is not None else ""
    return f"{points(sign * test['difference'])}{interval}{p}"


def article(summary: Summary) -> list[str]:
    """An article's claims beside the study's intervals; nothing where it is set against none."""
    if "against" not in summary:
        return []
    by = f"Beside {summary['against']['by']}: {' '.join(conditions(summary))}"
    said = claims(summary)
    return [by, "\n".join(f"- {sentence}" for sentence in said)] if said else [by]


def main_table(summary: Summary) -> Table:
    """The planned comparisons, the values of a sweep, or the mechanisms."""
    if summary["study"]["design"]["kind"] == "ablate":
        table = with_points(contrasts_table(summary), summary)
    else:
        table = values_table(summary)
    return table or rows_table(summary)


def rows_table(summary: Summary) -> Table:
    """One row a candidate: what it reached, what that is beside plain, and what it costs."""
    table = joined_table({"studies": [summary]})
    # Of one study alone: its name below each mechanism says nothing.
    return replace(table, rows=[[Cell(name.main), *cells] for name, *cells in table.rows])


def plain_words(value: Any) -> str:
    """A setting's value as it is written in a sentence."""
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Keep a study if asked to, then write both documents."""
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
