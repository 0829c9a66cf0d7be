"""The devices that train one run together: what is refused before the training, and what its record says."""

import platform

from foveate.errors import RequestError
from foveate.records.environment import Environment
from foveate.studies.engine.environment import describe_environment
from foveate.studies.engine.fitting import Machine
from foveate.training.recipe import Recipe

__all__ = ["check_shares", "describe_machine"]


def check_shares(batch_size: int, validation: int, machine: Machine) -> None:
    """Raise RequestError unless each of the machine's devices gets as many images of each batch.

    Args:
        batch_size: images of a step, of all devices together.
        validation: images of the validation part, of which each device needs one.
        machine: what trains.
    """
    count = machine.processes
    if batch_size % count:
        below, above = batch_size // count * count, -(-batch_size // count) * count
        nearest = " or ".join(str(size) for size in (below, above) if size)
        raise RequestError(
            f"batch_size {batch_size} is of a whole step and cannot be divided among {count} devices: give "
            f"--batch-size {nearest}, or another number of --devices"
        )
    if validation < count:
        raise RequestError(
            f"the validation part has {validation} images, and each of the {count} devices needs one: give "
            "fewer --devices, or a larger validation_fraction"
        )


def describe_machine(machine: Machine, recipe: Recipe) -> Environment:
    """Return versions and hardware; on a cluster also the host, and of several devices their part."""
    environment = describe_environment(machine.torch_device, machine.threads)
    if machine.elsewhere:
        environment = environment.model_copy(update={"host": platform.node()})
    if machine.processes == 1:
        return environment
    return environment.model_copy(
        update={
            "devices": machine.devices,
            "nodes": machine.nodes,
            "images_per_device": recipe.batch_size // machine.processes,
            "images_per_step": recipe.batch_size,
            "learning_rate": recipe.learning_rate,
        }
    )
