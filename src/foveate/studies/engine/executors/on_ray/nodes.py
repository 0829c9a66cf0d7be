"""The nodes of a Ray cluster: what they have, and whether a study can be carried out there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foveate.errors import RequestError, WorkError
from foveate.notation import count, listing
from foveate.records.environment import Environment
from foveate.studies.engine.executors.need import GIB, Need

__all__ = ["Node", "check_nodes", "find_nodes", "inspect_nodes", "own_versions", "room_of"]

SECONDS = 120.0
"""For the answers of all nodes; the first call on a node imports torch."""


@dataclass(frozen=True)
class Node:
    """What a node says of itself.

    Attributes:
        id: Ray's id of the node.
        host: its name.
        kind: processor, and GPU if runs have one: results of one kind of machine are equal bit for bit, with
            equal versions.
        room: the runs that it has room for at a time.
        versions: of foveate and torch, by name.
        missing: the files and folders, of those that it was asked for, that it does not see.
        obstacle: why it cannot use the storage of the study, in a sentence; "" if it can.
    """

    id: str
    host: str
    kind: str
    room: int
    versions: dict[str, str]
    missing: tuple[str, ...]
    obstacle: str = ""

    def without(self, token: Path) -> "Node":
        """Return the node with the folder of `token` in its place among what is missing."""
        named = [one.removesuffix(f"/{token.name}") for one in self.missing]
        return replace(self, missing=tuple(named))


def find_nodes(need: Need) -> list[dict[str, Any]]:
    """Return the live nodes of the connected cluster that have the room for one run, or for a node's part.

    Raises:
        RequestError: there is none; the message says what the largest one has.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    fitting = [node for node in nodes if _room(node, need) > 0]
    if room_of(fitting, need):
        return fitting
    most = {
        name: max((node["Resources"].get(key, 0.0) for node in nodes), default=0.0)
        for name, key in (("CPUs", "CPU"), ("GPUs", "GPU"))
    }
    memory = max((node["Resources"].get("memory", 0.0) for node in nodes), default=0.0) / GIB
    raise RequestError(
        f"a run needs {need}, and the cluster ({count(len(nodes), 'node')}) has no room for that: the most "
        f"that a node has are {most['CPUs']:g} CPUs, {most['GPUs']:g} GPUs and {memory:.1f} GiB. Lower "
        "--threads, --devices, --nodes or --memory, or add a node"
    )


def _room(node: dict[str, Any], need: Need) -> int:
    """Return how many runs a node has room for at a time."""
    has = node["Resources"]
    asked = {"CPU": need.cpus, "GPU": need.gpus, "memory": need.memory * GIB}
    return int(min(has.get(name, 0.0) // number for name, number in asked.items() if number))


def room_of(nodes: Sequence[dict[str, Any]], need: Need) -> int:
    """Return how many runs the nodes have room for at a time."""
    return sum(_room(node, need) for node in nodes) // need.nodes


def inspect_nodes(
    nodes: Sequence[dict[str, Any]], need: Need, paths: Sequence[Path] = (), url: str | None = None
) -> list[Node]:
    """Ask each node what it has, and whether it sees `paths` and can use the storage at `url`.

    Raises:
        RequestError: a node does not answer, or has no foveate.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(num_cpus=0, max_retries=0)(_describe_node)
    named = [str(path.absolute()) for path in paths]
    answers = {
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            named, url
        ): node
        for node in nodes
    }
    found = []
    for answer, node in answers.items():
        host = node["NodeManagerHostname"]
        try:
            processor, versions, missing, obstacle = ray.get(answer, timeout=SECONDS)
        except ray.exceptions.GetTimeoutError as error:
            raise RequestError(f"the node {host} did not answer within {SECONDS:.0f} s") from error
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", error)
            if isinstance(cause, ImportError):
                raise RequestError(
                    f"the node {host} cannot import foveate ({cause}): install the same foveate there, with "
                    "the extra ray"
                ) from error
            raise RequestError(f"the node {host} cannot be used: {cause}") from error
        gpus = [name.partition(":")[2] for name in node["Resources"] if name.startswith("accelerator_type:")]
        kind = Environment(processor=processor, accelerator=", ".join(gpus) if need.gpus else "cpu").kind
        room = _room(node, need)
        found.append(Node(node["NodeID"], host, kind, room, versions, tuple(missing), obstacle))
    return found


def check_nodes(nodes: Sequence[Node], versions: dict[str, str]) -> None:
    """Refuse nodes with other `versions` than this process has, and nodes that do not see a folder.

    Raises:
        RequestError: names the nodes, what they have, and what to do.
    """
    for name, own in versions.items():
        others = [f"{node.host} has {node.versions[name]}" for node in nodes if node.versions[name] != own]
        if others:
            raise RequestError(
                f"{name} differs between the machines: this one has {own}, and {listing(others)}. Results "
                "of several versions cannot be compared: install the same one everywhere"
            )
    blind = [f"{node.host} does not see {listing(list(node.missing))}" for node in nodes if node.missing]
    if blind:
        raise RequestError(
            f"{'; '.join(blind)}: give paths that all nodes see under the same names, on a file system that "
            "they share"
        )
    if shut := [f"{node.host}: {node.obstacle}" for node in nodes if node.obstacle]:
        raise RequestError(
            f"a node cannot use --out ({'; '.join(shut)}). Credentials and AWS_ENDPOINT_URL must be set "
            "there, too"
        )


def own_versions() -> dict[str, str]:
    """Return the versions that must be equal on all machines, by name."""
    import torch

    from foveate.version import __version__

    return {"foveate": __version__, "torch": torch.__version__}


def _describe_node(paths: list[str], url: str | None) -> tuple[str, dict[str, str], list[str], str]:
    """Return processor, versions, the paths that are not seen, and what keeps a node from using `url`."""
    from foveate.storage.opening import local_folder
    from foveate.studies.engine.environment import processor

    obstacle = ""
    if url is not None:
        try:
            local_folder(url, writes=True, pulls=False)
        except (RequestError, WorkError) as error:
            obstacle = str(error)
    return processor(), own_versions(), [path for path in paths if not Path(path).exists()], obstacle
