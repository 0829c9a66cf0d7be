"""Write the folder of a profile: its page, its record, its numbers and its figures."""

from pathlib import Path

from foveate.files import write_csv, write_text
from foveate.records.file_names import PROFILE
from foveate.records.files import write_record
from foveate.records.profile import ProfileRecord
from foveate.report.core.files import as_markdown, write_figures
from foveate.report.profile.charts import profile_figures
from foveate.report.profile.page import render_profile
from foveate.report.profile.tables import energy_table, latency_table, numbers, runtime_table, work_table

__all__ = ["write_profile"]


def write_profile(record: ProfileRecord, folder: Path) -> str:
    """Write `record` into `folder`, and return the path of its page.

    Raises:
        DiskError: a file cannot be written.
    """
    drawings = write_figures(folder, profile_figures(record))
    for table in (latency_table(record), work_table(record), runtime_table(record), energy_table(record)):
        if table is not None:
            write_text(folder / f"{table.name}.md", as_markdown(table))
    write_csv(folder / "profile.csv", numbers(record))
    write_record(folder / PROFILE, record)
    # The page comes last, so that all files that it links to exist.
    page = folder / "index.html"
    write_text(page, render_profile(record, drawings))
    return str(page)
