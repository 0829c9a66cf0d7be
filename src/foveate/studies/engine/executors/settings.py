"""Where the runs of a study are carried out: the flag --on, and the key `cluster` of a study file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.studies.engine.executors.need import Need
from foveate.studies.spec.completers import one_of

if TYPE_CHECKING:
    from foveate.studies.engine.executors.base import Executor

__all__ = ["ClusterSettings"]

KINDS = ("ray", "slurm")
HERE = "here"
MINUTES = 24 * 60


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Where the runs of a study are carried out; what they learn depends on the kind of machine alone.

    Attributes:
        on: Scheduler that carries out the runs: ray, a Ray of this machine or that of RAY_ADDRESS;
            ray://HOST:PORT, a Ray cluster; slurm; or slurm:local, which tries out slurm on this machine. By
            default they are carried out here, by processes of this machine.
        memory: Memory in GiB that --on keeps for each run; by default 2.
        partition: Partition of Slurm; by default Slurm's own.
        minutes: Minutes after which Slurm ends a job, which is queued again and resumes; by default a day.
        slurm: Further option of Slurm, as KEY=VALUE: account=lab; repeat it for others. By default there is
            none.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads this name

    on: Annotated[str | None, Parameter(completer=one_of((*KINDS, HERE)))] = None
    memory: float | None = None
    partition: str | None = None
    minutes: int | None = None
    slurm: Annotated[list[str], Parameter(show_default=False)] = field(default_factory=list)

    @property
    def kind(self) -> str | None:
        """The scheduler without its address; None for this machine."""
        return None if self.on in (None, HERE) else str(self.on).partition(":")[0]

    @property
    def address(self) -> str | None:
        """What follows the name of the scheduler: the whole URL of a Ray cluster, or `local`."""
        if self.on is None or ":" not in self.on:
            return None
        return self.on if self.on.startswith("ray://") else self.on.partition(":")[2]

    def check(self) -> None:
        """Validate the settings.

        Raises:
            RequestError: an unknown scheduler, or settings that the scheduler does not have.
        """
        if self.kind is not None and self.kind not in KINDS:
            raise RequestError(unknown_name("scheduler", self.kind, (*KINDS, HERE)))
        if self.kind == "ray" and self.address is not None and not self.address.startswith("ray://"):
            raise RequestError(f"--on {self.on}: expected ray or ray://HOST:PORT")
        if self.kind == "slurm" and self.address not in (None, "local"):
            raise RequestError(f"--on {self.on}: expected slurm or slurm:local")
        check_at_least(self, minutes=1)
        if self.memory is not None and not self.memory > 0:
            raise RequestError(f"--memory {self.memory:g}: expected GiB, over 0")
        for name, owner in {
            "memory": KINDS,
            "partition": KINDS[1:],
            "minutes": KINDS[1:],
            "slurm": KINDS[1:],
        }.items():
            if getattr(self, name) and self.kind not in owner:
                raise RequestError(f"--{name} belongs to --on {' or --on '.join(owner)}")
        self._further()

    def _further(self) -> dict[str, str]:
        """Return the further options of Slurm by name."""
        pairs = [text.partition("=") for text in self.slurm]
        if wrong := [
            text for text, (key, equals, _) in zip(self.slurm, pairs, strict=True) if not (key and equals)
        ]:
            raise RequestError(f"--slurm {wrong[0]}: expected KEY=VALUE, as in account=lab")
        return {key: value for key, _, value in pairs}

    def over(self, there: Mapping[str, Any] | None) -> "ClusterSettings":
        """Return the settings of a study file, `there`, overridden by those that were given here.

        Raises:
            RequestError: the file has another key, or a value of another type.
        """
        if there is None:
            return self
        if not isinstance(there, Mapping):
            raise RequestError(f"cluster: expected keys such as on and memory, got {there!r}")
        from pydantic import TypeAdapter, ValidationError

        from foveate.training.recipe import faults_in_words

        try:
            read = TypeAdapter(ClusterSettings).validate_python(there)
        except ValidationError as error:
            raise RequestError(f"cluster: {faults_in_words(error)}") from error
        own = {name: value for name, value in asdict(self).items() if value not in (None, [])}
        if self.on is not None and self.kind != read.kind:  # the rest of the file is of another scheduler
            return self
        return replace(read, **own)

    def room(self, jobs: int | None, need: Need) -> int:
        """Return how many runs are carried out at a time; a Ray cluster is asked, unless `jobs` says it.

        Raises:
            RequestError: Slurm, and no `jobs`.
        """
        if jobs is not None or self.kind is None:
            return jobs or 1
        if self.kind == "slurm":
            raise RequestError("plan --on slurm needs --jobs: the number of runs that get a place at a time")
        with self.executor(None, need) as executor:
            return executor.jobs

    def executor(self, jobs: int | None, need: Need) -> "Executor":
        """Return the executor of a study.

        Args:
            jobs: the most runs at a time; None is one on this machine, and elsewhere what there is room for.
            need: of each run, without its memory. Slurm does not tell whether it has GPUs: it gives none to
                runs that can do without.
        """
        self.check()
        need = need if self.memory is None else replace(need, memory=self.memory)
        if self.kind == "ray":
            from foveate.studies.engine.executors.on_ray.cluster import RayCluster

            return RayCluster(self.address, need, jobs)
        if self.kind == "slurm":
            from foveate.studies.engine.executors.slurm import Slurm

            need = replace(need, gpus=0) if need.gpus_optional else need
            minutes = MINUTES if self.minutes is None else self.minutes
            local = self.address == "local"
            return Slurm(need, jobs, minutes, self.partition, self._further(), local=local)
        from foveate.studies.engine.executors.processes import LocalProcesses

        return LocalProcesses(jobs or 1)
