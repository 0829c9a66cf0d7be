"""The machines and the devices that trained the runs of a study, in sentences."""

from collections.abc import Sequence

from foveate.notation import count, listing
from foveate.records.environment import Environment

__all__ = ["device_sentences", "machine_sentences"]


def device_sentences(environments: Sequence[Environment]) -> tuple[str, ...]:
    """Return sentences on the devices that trained each run together; none where all runs had one each.

    `environments` are those of the finished runs.
    """
    divided = list(dict.fromkeys(_divided(one) for one in environments if one.processes > 1))
    if not divided:
        return ()
    sentences = [f"{sentence}." for sentence in divided]
    numbers = sorted({one.processes for one in environments})
    if len(numbers) > 1:
        runs = [sum(one.processes == number for one in environments) for number in numbers]
        named = [
            f"{count(found, 'run')} on {count(number, 'device')}"
            for found, number in zip(runs, numbers, strict=True)
        ]
        sentences.append(
            f"Runs were trained on different numbers of devices ({', '.join(named)}): batch norms that are "
            "not synchronised see the images of one device, and augmentation draws other numbers on each, so "
            "that these runs differ by more than their mechanisms and seeds."
        )
    return tuple(sentences)


def machine_sentences(runs: Sequence[tuple[str, int, Environment]]) -> tuple[str, ...]:
    """Return sentences on the machines of the runs; none where all are of one kind and no scheduler chose.

    `runs` are candidate, seed and environment of each finished run.
    """
    kinds, hosts = dict[str, list[int]](), dict[str, int]()
    for _, seed, environment in runs:
        kinds.setdefault(environment.kind, []).append(seed)
        if environment.host is not None:
            hosts[environment.host] = hosts.get(environment.host, 0) + 1
    sentences = []
    if hosts:
        named = [f"{count(number, 'run')} on {host}" for host, number in sorted(hosts.items())]
        sentences.append(f"A scheduler chose the machines: {listing(named)}.")
    if len(kinds) < 2:
        return tuple(sentences)
    of_kind = [f"{count(len(seeds), 'run')} on {kind or 'an unknown kind'}" for kind, seeds in kinds.items()]
    sentences.append(f"The runs were trained on several kinds of machine: {listing(of_kind)}.")
    several = [
        seed for seed in {seed for _, seed, _ in runs} if sum(seed in one for one in kinds.values()) > 1
    ]
    if several:
        seeds = f"seed{'s' * (len(several) > 1)} {listing(list(map(str, sorted(several))))}"
        sentences.append(
            f"Of {seeds}, runs of different kinds are compared with each other: rounding differs between "
            "kinds, so that their differences hold that, too."
        )
    return tuple(sentences)


def _divided(one: Environment) -> str:
    devices = count(one.devices or 1, "device")
    where = devices if (one.nodes or 1) == 1 else f"{devices} on each of {one.nodes} nodes"
    return (
        f"Each run was trained on {where} together: {one.images_per_step} images a step, "
        f"{one.images_per_device} on each device, and the learning rate {one.learning_rate} of the "
        "recipe for the whole step"
    )
