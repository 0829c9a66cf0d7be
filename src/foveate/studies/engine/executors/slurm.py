"""Have the runs of a study carried out by Slurm, each as one task of a job array."""

import json
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from foveate.errors import DiskError, RequestError, WorkError, in_words
from foveate.files import write_json
from foveate.studies.engine.environment import available_cores
from foveate.studies.engine.executors.base import MakeRunner, Outcome, Result, Run
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.runners import failed_run
from foveate.studies.engine.executors.submitted import end_earlier_jobs, keep_submitted
from foveate.studies.engine.watch import QueuedWatch, Watch

__all__ = ["Slurm"]

IN_ARRAY = 500
"""Tasks of one array; Slurm allows 1,000 by default."""
MOST_TIMEOUTS = 1000
"""Times that a job is queued again because its minutes were over; submitit's own limit is 3."""
FOLDER, STEPS = ".slurm", "steps"
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_STEPS = 5.0
"""Between two writings of the step of a run, which lies in a file."""


class Slurm:
    """Slurm, by submitit: a job that is preempted or runs out of time is queued again, and resumes.

    Args:
        need: what is kept for each run.
        limit: the most runs at a time; None leaves it to Slurm.
        minutes: after which a job is ended and queued again.
        partition: of the jobs; None is Slurm's own.
        further: options of sbatch, by name.
        local: whether jobs are processes of this machine, to try things out.
    """

    def __init__(
        self,
        need: Need,
        limit: int | None,
        minutes: int,
        partition: str | None,
        further: Mapping[str, str],
        *,
        local: bool = False,
    ) -> None:
        self.need, self.limit, self.minutes, self.partition = need, limit, minutes, partition
        self.further, self.local = dict(further), local
        self.jobs = limit or (max(available_cores() // need.cpus, 1) if local else IN_ARRAY)
        self._folder: Path | None = None

    def __enter__(self) -> "Slurm":
        """Refuse to go on without Slurm.

        Raises:
            RequestError: submitit is not installed, or Slurm's commands are not found.
        """
        submitit = _import_submitit()
        if not self.local and submitit.AutoExecutor.which() != "slurm":
            raise RequestError(
                "--on slurm: the command sbatch is not found on this machine. Give the command on a machine "
                "that submits to Slurm; slurm:local tries it out without one"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: jobs are cancelled where they were submitted."""

    @property
    def device(self) -> str:
        """The kind of device that a task has."""
        return "cuda" if self.need.gpus else "cpu"

    def check(self, out: Path, paths: Sequence[Path]) -> None:
        """Take note of the study's folder, where jobs have their logs and messages.

        Slurm's nodes are not asked whether they see `paths`: they share the file systems of this machine,
        or else the job says what it does not find.
        """
        self._folder = out / FOLDER
        # Jobs are pickled there: nobody else may write what this process and they read.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def carry_out(
        self,
        tasks: Sequence[Run],
        watch: Watch,
        make_runner: MakeRunner[Run, Result],
        *arguments: Any,
        together: bool = False,
    ) -> Generator[tuple[Run, Outcome[Result]]]:
        """Submit the tasks as job arrays, and yield each as it ends; jobs end with the generator."""
        assert self._folder is not None
        folder, job = self._folder, _Job(make_runner, arguments, together=together)
        waiting, seen = list(tasks), dict[Path, float]()
        pending = dict[Any, tuple[Run, Path]]()
        end_earlier_jobs(folder)
        try:
            while waiting or pending:
                if batch := waiting[: self._at_once(len(pending))]:
                    del waiting[: len(batch)]
                    places = [
                        folder / STEPS / f"{time.time_ns()}-{place}.json" for place in range(len(batch))
                    ]
                    jobs = self._submit(folder, job, batch, places)
                    pending |= dict(zip(jobs, zip(batch, places, strict=True), strict=True))
                    keep_submitted(folder, [one.job_id for one in pending], local=self.local)
                time.sleep(SECONDS_BETWEEN_LOOKS / (10 if self.local else 1))
                _pass_on([place for _, place in pending.values()], seen, watch)
                for ended in [one for one in pending if one.done()]:
                    yield pending.pop(ended)[0], partial(_result, ended)
        finally:
            keep_submitted(folder, [one.job_id for one in pending], local=self.local)
            end_earlier_jobs(folder)

    def _submit(self, folder: Path, job: "_Job", tasks: list[Any], places: list[Path]) -> list[Any]:
        """Submit one array, and return its jobs.

        Raises:
            RequestError: Slurm refuses it, for a partition or an option that it does not have.
        """
        name = "local" if self.local else "slurm"
        try:
            executor = _import_submitit().AutoExecutor(
                folder, cluster=name, **{f"{name}_max_num_timeout": MOST_TIMEOUTS}
            )
            executor.update_parameters(**self._options(together=job.together))
            return list(executor.map_array(job, tasks, places))
        except Exception as error:  # submitit's errors have no type of their own
            raise RequestError(
                f"Slurm refused the jobs ({in_words(error)}): correct --partition, --minutes, --memory, "
                "--threads or --slurm"
            ) from error

    def _at_once(self, pending: int) -> int:
        """Return how many tasks to submit now.

        submitit's local executor has no queue, and Slurm's limit on running jobs holds for one array.
        """
        if self.local:
            return max(self.jobs - pending, 0)
        return IN_ARRAY if self.limit is None or not pending else 0

    def _options(self, *, together: bool = False) -> dict[str, Any]:
        """Return submitit's parameters of a job, whose processes on several nodes are its tasks."""
        parameters: dict[str, Any] = {
            "timeout_min": self.minutes,
            "cpus_per_task": self.need.cpus,
            "mem_gb": self.need.memory,
            "name": "foveate",
        }
        if self.need.gpus:
            parameters["gpus_per_node"] = self.need.gpus
        nodes, processes = self.need.nodes, self.need.processes
        if together:
            parameters["cpus_per_task"] = self.need.cpus // processes
            parameters["tasks_per_node"] = nodes * processes if self.local else processes
        if self.local:
            return parameters
        if together:
            parameters["nodes"] = nodes
        if self.partition:
            parameters["slurm_partition"] = self.partition
        if self.limit:
            parameters["slurm_array_parallelism"] = self.limit
        return parameters | {"slurm_additional_parameters": self.further}


def _import_submitit() -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise RequestError("--on slurm needs: pip install 'foveate[slurm]'") from error
    return submitit


class _Job:
    """What a job of Slurm does; submitit pickles it into the study's folder and reads it on the node."""

    def __init__(
        self, make_runner: MakeRunner[Any, Any], arguments: tuple[Any, ...], *, together: bool
    ) -> None:
        self.make_runner, self.arguments, self.together = make_runner, arguments, together

    def __call__(self, task: Any, place: Path) -> Any:
        """Carry out `task`, and return its result or its error; its steps go to the file `place`.

        On several nodes, each process of the job is told its rank as torchrun would.

        The work is done in another thread. In the main thread Lightning would put handlers of its own before
        those of submitit, which queue the job again when Slurm preempts it or its minutes are over.
        """
        if self.together:
            environment = _import_submitit().helpers.TorchDistributedEnvironment()
            environment.export(set_cuda_visible_devices=False, overwrite=True)
        found = list[Any]()
        worker = threading.Thread(target=self._carry_out, args=(task, place, found), daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(1.0)  # signals are handled in between
        place.unlink(missing_ok=True)
        return found[0]

    def _carry_out(self, task: Any, place: Path, found: list[Any]) -> None:
        written = -SECONDS_BETWEEN_STEPS

        def put(position: tuple[Any, ...]) -> None:
            nonlocal written
            if time.monotonic() - written >= SECONDS_BETWEEN_STEPS:
                written = time.monotonic()
                with suppress(DiskError):  # progress is no reason to end a training
                    write_json(place, position)

        try:
            found.append(self.make_runner(0, *self.arguments)(task, QueuedWatch(put)))
        except BaseException as error:  # submitit would pass on the text of a traceback
            found.append(failed_run(error))

    def checkpoint(self, *task: Any) -> Any:
        """Return what is queued again where Slurm preempts the job: the same, which resumes."""
        return _import_submitit().helpers.DelayedSubmission(self, *task)


def _result(job: Any) -> Any:
    try:
        result = job.results()[0]  # of several processes, that of the first
    except Exception as error:  # the job was lost; submitit's errors have no type of their own
        raise WorkError(
            f"job {job.job_id} of Slurm was lost ({in_words(error)}); its log is {job.paths.stderr}. Give "
            "the same command again, with a larger --memory if that was short"
        ) from error
    if isinstance(result, Exception):
        raise result
    return result


def _pass_on(places: Sequence[Path], seen: dict[Path, float], watch: Watch) -> None:
    """Report the steps that jobs wrote since the last look."""
    for place in places:
        with suppress(OSError, ValueError):  # the job has not begun, or has ended
            written = place.stat().st_mtime
            if seen.get(place) != written:
                position = json.loads(place.read_text(encoding="utf-8"))
                seen[place] = written
                watch.step(*position)
