"""Several studies on one page: their rows side by side, not averaged, and what the studies differ in."""

from pathlib import Path
from typing import Any

from foveate.errors import RequestError
from foveate.files import write_csv, write_text
from foveate.records.study import Records, read_records
from foveate.report.core.files import as_markdown, write_figures
from foveate.report.joined.charts import joined_figures
from foveate.report.joined.page import render_joined
from foveate.report.joined.tables import differences_table, joined_table, study_titles
from foveate.report.study.articles import find_article
from foveate.report.study.build import build_report
from foveate.report.study.numbers import row_numbers

__all__ = ["find_differences", "join_reports"]

DATA = ("name", "fingerprint", "image_size", "channels", "train_fraction", "train", "validation", "test")


def join_reports(folders: list[Path], out: Path | None = None, against: str | None = None) -> dict[str, Any]:
    """Build the report of each study in `folders`, and in `out` one page that has them side by side.

    `out` is the folder `joined` beside the first study where none is given. Returns {"studies",
    "differences", "report"}: the summaries, what `find_differences` found, and the page's path.

    Raises:
        RequestError: fewer than two folders, one given twice, one that is no study, an unknown article, or an
            `out` that is a study's folder.
        WorkError: no run of a study has finished, or a file cannot be written.
    """
    if len(folders) < 2:
        raise RequestError(f"joining takes two studies or more, given {len(folders)}")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise RequestError(
                f"{seen[folder.resolve()]} and {folder} are the same study: name each of them once"
            )
        seen[folder.resolve()] = folder
    if against is not None:
        find_article(against)
    # All of them, before anything is written.
    records = [read_records(folder) for folder in folders]
    out = folders[0].resolve().parent / "joined" if out is None else out
    own = [folder.resolve() / "report" for folder in folders]
    if (out / "study.json").exists() or out.resolve() in own:
        raise RequestError(f"{out} is a study's folder: give the joined report another --out")
    joined: dict[str, Any] = {
        "studies": [build_report(folder, against) for folder in folders],
        "differences": find_differences(records),
        "report": str(out / "index.html"),
    }
    drawings = write_figures(out, joined_figures(joined))
    for table in filter(None, (joined_table(joined), differences_table(joined))):
        write_text(out / f"{table.name}.md", as_markdown(table))
    titles = study_titles(joined["studies"])
    numbers = [
        {"study": title, **row}
        for title, summary in zip(titles, joined["studies"], strict=True)
        for row in row_numbers(summary)
    ]
    write_csv(out / "results.csv", numbers)
    # Last, so that a page that is there has everything that it names.
    write_text(Path(joined["report"]), render_joined(joined, drawings, out))
    return joined


def find_differences(studies: list[Records]) -> list[dict[str, Any]]:
    """Find what the studies differ in: {"part", "key", "values"}, a value for each study, None where unset.

    Looked at are network, data, recipe, the seeds and the adjustment of p, versions and hardware, and how
    cost was measured. Which mechanisms they have is not a difference: that is what their rows are.
    """
    settings = [_settings(records) for records in studies]
    keys = dict.fromkeys((part, key) for part in settings[0] for of in settings for key in of[part])
    found = []
    for part, key in keys:
        values = [of_study[part].get(key) for of_study in settings]
        if any(value != values[0] for value in values):
            found.append({"part": part, "key": key, "values": values})
    return found


def _settings(records: Records) -> dict[str, dict[str, Any]]:
    study = records.study
    return {
        "network": {"backbone": study["backbone"], "pretrained": study.get("pretrained")},
        "data": {key: study["data"].get(key) for key in DATA} | {"classes": len(study["data"]["classes"])},
        "recipe": study["recipe"],
        "statistics": {"seeds": study["seeds"], **study["statistics"]},
        "environment": study["environment"],
        # What its measurement rested on says the rest of this again, but for the path of the mechanisms.
        "cost": {
            **{
                key: value
                for key, value in records.cost_setting.items()
                if key not in ("conditions", "timing")
            },
            "path": records.cost_setting.get("conditions", {}).get("path", "auto"),
        },
    }
