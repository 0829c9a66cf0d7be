"""What one run needs of the machine that it is carried out on."""

from dataclasses import dataclass

__all__ = ["GIB", "Need"]

GIB = 2**30


@dataclass(frozen=True)
class Need:
    """The part of a machine that a scheduler keeps for one run.

    Attributes:
        cpus: cores, one for each thread of the training.
        gpus: GPUs.
        memory: main memory in GiB.
        gpus_optional: whether a run can do without GPUs where there are none.
        nodes: machines that carry out the run together; each has the above.
        processes: processes of the run on each machine, which share the above.
    """

    cpus: int = 1
    gpus: int = 0
    memory: float = 2.0
    gpus_optional: bool = False
    nodes: int = 1
    processes: int = 1

    def __str__(self) -> str:
        gpus = f", {self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else ""
        times = f"{self.nodes} times " if self.nodes > 1 else ""
        return f"{times}{self.cpus} CPU{'s' * (self.cpus > 1)}{gpus} and {self.memory:g} GiB of memory"
