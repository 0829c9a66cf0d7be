"""Tell Lightning of processes that foveate, or a scheduler, started."""

from lightning.fabric.plugins.environments import ClusterEnvironment

from foveate.tasks.processes import Processes

__all__ = ["JoinedProcesses"]


class JoinedProcesses(ClusterEnvironment):
    """Lightning's view of processes that have joined torch's default process group already.

    Lightning starts none and joins none; address and port, which it only needs to join, do not exist. It
    takes each process for a machine with one device, so that it asks nothing about where the others are.
    """

    def __init__(self, processes: Processes) -> None:
        super().__init__()
        self.processes = processes

    @property
    def creates_processes_externally(self) -> bool:
        """True: Lightning starts no process."""
        return True

    @property
    def main_address(self) -> str:
        """None is needed."""
        raise RuntimeError("the processes must join their process group before the training")

    @property
    def main_port(self) -> int:
        """None is needed."""
        raise RuntimeError("the processes must join their process group before the training")

    @staticmethod
    def detect() -> bool:
        """Return False: it is never found, but given."""
        return False

    def world_size(self) -> int:
        """Return the number of processes."""
        return self.processes.count

    def set_world_size(self, size: int) -> None:
        """Leave the number of processes as it is."""

    def global_rank(self) -> int:
        """Return the number of this process."""
        return self.processes.rank

    def set_global_rank(self, rank: int) -> None:
        """Leave the number of this process as it is."""

    def local_rank(self) -> int:
        """Return 0: the only process of its machine, for Lightning."""
        return 0

    def node_rank(self) -> int:
        """Return the number of this process, which is that of its machine for Lightning."""
        return self.processes.rank
