"""How the runs of a study were divided among devices, in sentences."""

from collections.abc import Sequence

from foveate.notation import count
from foveate.records.environment import Environment

__all__ = ["device_sentences"]


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


def _divided(one: Environment) -> str:
    devices = count(one.devices or 1, "device")
    where = devices if (one.nodes or 1) == 1 else f"{devices} on each of {one.nodes} nodes"
    return (
        f"Each run was trained on {where} together: {one.images_per_step} images a step, "
        f"{one.images_per_device} on each device, and the learning rate {one.learning_rate} of the "
        "recipe for the whole step"
    )
