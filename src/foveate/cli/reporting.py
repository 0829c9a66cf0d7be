"""The command `report`: it builds the page of a study, or of several."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from foveate.cli.flags import Against, Json
from foveate.cli.output import console_beside, finish, write_json_to
from foveate.cli.process import loading
from foveate.errors import RequestError
from foveate.storage.opening import is_url, local_folder
from foveate.studies.spec import completers
from foveate.studies.spec.flag_groups import OUTPUT

__all__ = ["report"]


def report(
    *studies: Annotated[
        str,
        Parameter(required=True, completer=completers.place, help="Folders or URLs of one or more studies."),
    ],
    against: Against = None,
    out: Annotated[
        Path | None,
        Parameter(
            group=OUTPUT,
            help="Folder for the page of several studies; by default joined, beside the first of them, or "
            "here if that is a URL.",
        ),
    ] = None,
    json: Json = None,
) -> int:
    """Build the report of a study again from its records, or join several studies in one page.

    Joined studies are shown side by side, and the page says first in what they differ.
    """
    from foveate.records.study import check_study_folder
    from foveate.report.study.article_names import check_article

    if against is not None:
        check_article(against)
    if out and len(studies) == 1:
        raise RequestError("--out is for several studies: the report of one is in its own folder")
    places = [local_folder(study) for study in studies]
    for folder, study in zip(places, studies, strict=True):
        check_study_folder(folder, study)
    console = console_beside(json)
    with loading():
        from foveate.report.joined.build import join_reports
        from foveate.report.joined.tables import joined_console
        from foveate.report.study.build import build_report

    if len(places) == 1:
        return finish(build_report(places[0], against), json, console)
    if out is None and is_url(studies[0]):
        out = Path("joined")
    joined = join_reports(places, out, against)
    console.print(joined_console(joined))
    console.print(f"Report: {joined.report}", soft_wrap=True)
    write_json_to(joined.to_json(), json)
    return int(any(summary.missing for summary in joined.studies))
