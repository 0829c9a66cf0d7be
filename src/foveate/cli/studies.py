"""The commands of studies: compare, ablate and sweep train; plan estimates."""

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from foveate.cli.flags import SETTINGS, Against, Json
from foveate.cli.output import console_beside, finish, write_json_to
from foveate.cli.process import loading
from foveate.errors import RequestError
from foveate.storage.opening import is_url, local_folder
from foveate.studies.engine.executors.settings import ClusterSettings
from foveate.studies.engine.machine import MachineSettings
from foveate.studies.spec import completers
from foveate.studies.spec.completers import one_of
from foveate.studies.spec.defaults import ABLATED
from foveate.studies.spec.flag_groups import CLUSTER, MACHINE, OUTPUT, RECIPE, STATISTICS, STUDY
from foveate.studies.spec.request import (
    Compared,
    RecipeKeys,
    SearchSettings,
    StudyKeys,
    Subject,
    keys_of_cluster,
    read_request,
)

if TYPE_CHECKING:
    from foveate.data import Data
    from foveate.studies.engine.fitting import Machine
    from foveate.studies.engine.watch import Watch
    from foveate.studies.spec.study import StudySpec

__all__ = ["ablate", "compare", "plan", "sweep"]


@dataclass(frozen=True, kw_only=True)
class StudyFlags:
    """The flags that the commands of studies share.

    Attributes:
        out: Folder of the study, or a URL such as s3://bucket/study; by default studies/ and a name made of
            its keys, with a number behind it if that holds another study.
    """

    keys: Annotated[StudyKeys, Parameter(name="*", group=STUDY)] = StudyKeys()
    recipe: Annotated[RecipeKeys, Parameter(name="*", group=RECIPE)] = RecipeKeys()
    machine: Annotated[MachineSettings, Parameter(name="*", group=MACHINE)] = MachineSettings()
    cluster: Annotated[ClusterSettings, Parameter(name="*", group=CLUSTER)] = ClusterSettings()
    against: Against = None
    out: Annotated[str | None, Parameter(group=OUTPUT, completer=completers.place)] = None
    json: Json = None


FILE_HELP = "YAML file with keys of the study, which flags override; by default there is none."
StudyFile = Annotated[Path | None, Parameter(help=FILE_HELP)]
StudyFlag = Annotated[Path | None, Parameter("--study", group=STUDY, help=FILE_HELP)]
Flags = Annotated[StudyFlags, SETTINGS]


def compare(
    study_file: StudyFile = None,
    /,
    *,
    subject: Annotated[Compared, SETTINGS] = Compared(),
    flags: Flags = StudyFlags(),
) -> int:
    """Train attention mechanisms side by side, and say which is worth its cost.

    Every mechanism is trained by the same recipe on the same seeds: the same split, the same order of images,
    the same initial backbone; with --tune each has its own learning rate and weight decay, chosen before. The
    same command, given again, resumes an interrupted study.
    """
    return _train(study_file, subject, flags)


def ablate(
    mechanism: Annotated[
        str,
        Parameter(
            completer=one_of(ABLATED),
            help="Mechanism to take apart: dmsca or sgfa; options in parentheses stay fixed.",
        ),
    ],
    /,
    *,
    study: StudyFlag = None,
    flags: Flags = StudyFlags(),
) -> int:
    """Take a mechanism apart: its parts are added one at a time and removed one at a time.

    The report says what each part gains, with confidence intervals, and what it costs. The same command,
    given again, resumes an interrupted study.
    """
    return _train(study, Subject(ablate=mechanism), flags)


def sweep(
    mechanism: Annotated[
        str,
        Parameter(
            completer=completers.mechanism,
            help="Mechanism whose options vary; options in parentheses stay fixed.",
        ),
    ],
    /,
    *values: Annotated[
        str,
        Parameter(
            required=True,
            help="Values of an option: reduction=4,8,16 temperature=0.5,1,learned kernel_sizes='3|3,5'.",
        ),
    ],
    search: Annotated[SearchSettings, SETTINGS] = SearchSettings(),
    study: StudyFlag = None,
    flags: Flags = StudyFlags(),
) -> int:
    """Vary the options of a mechanism, one at a time, while the others stay as they are.

    The report gives accuracy, parameters, multiply-adds and latency for each value. The same command, given
    again, resumes an interrupted study.
    """
    return _train(study, Subject(sweep=mechanism, values=list(values)), flags, search)


def plan(
    study_file: StudyFile = None,
    /,
    *,
    subject: Annotated[Subject, SETTINGS] = Subject(),
    spread: Annotated[
        float | None,
        Parameter(
            group=STATISTICS,
            help="Standard deviation of the differences between seeds, in percentage points; by default "
            "measured on the study's finished runs, if there are any.",
        ),
    ] = None,
    flags: Flags = StudyFlags(),
) -> int:
    """Say what a study takes before it starts: runs, time on this machine, disk, and what it could detect.

    A few steps of each candidate are trained here, tested and reported, in a temporary folder; the times of
    the whole study follow from them. The folder of the study stays as it is.
    """
    began = time.monotonic()
    from foveate.studies.spec.checks import check_study

    study = read_request(study_file, subject, flags.keys, flags.recipe)
    cluster = _cluster(study_file, flags)
    elsewhere = cluster.kind is not None
    if spread is not None and not 0 < spread <= 100:
        raise RequestError(f"--spread {spread}: expected percentage points, over 0 and at most 100")
    if elsewhere and flags.machine.nodes > 1:
        raise RequestError(
            "plan measures steps on this machine, and cannot with --on and --nodes: leave out --nodes"
        )
    if elsewhere and flags.machine.device == "cuda":
        MachineSettings(device="cuda").check()  # the steps are measured here
    check_study(study)
    console = console_beside(flags.json)
    out = None if flags.out is None else local_folder(flags.out)
    with loading():
        from foveate.cli.progress import ProgressWatch
        from foveate.report.plan.console import plan_table
        from foveate.report.study.build import build_report
        from foveate.studies.engine.ddp.meeting import follows, leading
        from foveate.studies.plan import plan as plan_study

    machine = flags.machine.machine(elsewhere=elsewhere)
    if machine.nodes > 1 and follows(machine):
        return 0
    jobs = cluster.room(flags.machine.jobs, flags.machine.need)
    with leading(machine), ProgressWatch(console) as watch:
        out, data = (out, None) if out else _choose_folder(study, machine, watch)
        planned = plan_study(
            study,
            out,
            machine,
            jobs=jobs,
            scheduler=cluster.kind,
            spread=None if spread is None else spread / 100,
            watch=watch,
            data=data,
            began=began,
            build_report=build_report,
        )
    console.print(plan_table(planned))
    write_json_to(planned.to_json(), flags.json)
    return 0


def _choose_folder(
    study: "StudySpec", machine: "Machine", watch: "Watch", *, searches: bool = False
) -> "tuple[Path, Data | None]":
    """Return the folder of a study that names none, and its images if they were opened to choose it."""
    from foveate.studies.engine.joining import choose_folder

    return choose_folder(study, Path("studies") / study.name, machine, watch, searches=searches)


def _cluster(file: Path | None, flags: StudyFlags) -> ClusterSettings:
    """Return where the runs are carried out, by the study file and the flags over it.

    Raises:
        RequestError: that, or the settings of the machine, do not fit each other.
    """
    cluster = flags.cluster.over(keys_of_cluster(file))
    cluster.check()
    flags.machine.check(elsewhere=cluster.kind is not None)
    if flags.machine.nodes > 1 and flags.out is not None and is_url(flags.out):
        raise RequestError("--nodes with a URL for --out: give a folder that all nodes see")
    return cluster


def _train(
    file: Path | None, subject: Compared, flags: StudyFlags, search: SearchSettings = SearchSettings()
) -> int:
    """Run a study and build its report. A request that is refused leaves nothing behind."""
    began = time.monotonic()
    from foveate.report.study.article_names import check_article
    from foveate.studies.spec.checks import check_study

    study = read_request(file, subject, flags.keys, flags.recipe)
    cluster = _cluster(file, flags)
    elsewhere = cluster.kind is not None
    searches = search.wanted()
    if searches and study.until_decided:
        raise RequestError(
            "--until-decided adds seeds to planned comparisons, and --search chooses them: omit one"
        )
    if flags.against is not None:
        check_article(flags.against)
        if study.dense is not None:
            raise RequestError(
                f"--against {flags.against}: its figures that foveate compares with are of classifications, "
                f"and this is a {study.task}: leave out --against"
            )
    check_study(study)
    console = console_beside(flags.json)
    # What reads records takes a while to import, and most of what is refused is refused above.
    from foveate.studies.engine.environment import command_line
    from foveate.studies.engine.folder import refuse_unusable_folder

    out = None if flags.out is None else local_folder(flags.out, writes=True)
    if out is not None:
        refuse_unusable_folder(out)
    with loading():
        from foveate.cli.progress import ProgressWatch
        from foveate.report.study.build import build_report
        from foveate.studies.compare import compare as run_study
        from foveate.studies.engine.ddp.meeting import follows, leading
        from foveate.studies.search import search as search_options

    machine = flags.machine.machine(elsewhere=elsewhere)
    leads = machine.nodes > 1 and not elsewhere  # elsewhere, the processes of a run find each other
    if leads and follows(machine):
        return 0
    with (
        leading(machine) if leads else nullcontext(),
        cluster.executor(flags.machine.jobs, flags.machine.need) as executor,
        ProgressWatch(console) as watch,
    ):
        out, data = (out, None) if out else _choose_folder(study, machine, watch, searches=searches)
        if searches:
            study, data = search_options(study, search, out, machine, executor, watch, data)
        run_study(
            study,
            out,
            machine,
            executor=executor,
            command=command_line(),
            watch=watch,
            data=data,
            began=began,
        )
    # After the processes of the runs have ended: drawing takes a lot of memory.
    return finish(build_report(out, flags.against), flags.json, console)
