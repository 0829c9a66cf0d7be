"""The promise on data-parallel training: two processes share the mean of their gradients."""

import multiprocessing
import pickle
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from foveate.inspection.check.subject import Factory, NotApplicable, Outcome, Subject, short
from foveate.studies.engine.ddp.group import through_loopback

__all__ = ["parallel"]

MINUTES = 1


@dataclass(frozen=True)
class Share:
    """What the other process is given: factory and weights, its half of the maps, and where to meet."""

    factory: Factory
    channels: int
    weights: dict[str, Tensor]
    half: Tensor
    rendezvous: str


def parallel(subject: Subject) -> Outcome:
    """Two processes, joined by gloo on this machine, get the mean of the gradients of their halves.

    This process is one of the two. A convolution stands before the module, as in a network.
    """
    if not distributed.is_available() or distributed.is_initialized():
        return NotApplicable("torch.distributed is not available, or already in use")
    try:
        pickle.dumps(subject.factory)
    except Exception as error:
        return NotApplicable(f"another process cannot build it: {short(error)}")
    if subject.draws:
        return NotApplicable("it draws random numbers in training, other ones in each process")
    x = subject.map(2, subject.ordinary_size)
    images = [torch.randn((2, 3, *subject.ordinary_size), generator=_generator(seed)) for seed in (0, 1)]
    network = _network(subject.factory, subject.channels)
    gradients = []
    for half in images:
        alone = _network(subject.factory, subject.channels)
        alone.load_state_dict(network.state_dict())
        inputs = list(alone.parameters())
        loss = alone(half).square().mean()
        gradients.append(torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True))
    expected = [(first + second) / 2 for first, second in zip(*gradients, strict=True)]
    with tempfile.TemporaryDirectory() as folder, through_loopback():
        rendezvous = (Path(folder) / "rendezvous").as_uri()
        weights = {key: value.clone() for key, value in network.state_dict().items()}
        share = Share(subject.factory, subject.channels, weights, images[0], rendezvous)
        other = multiprocessing.get_context("spawn").Process(target=_other_half, args=(share,), daemon=True)
        other.start()
        try:
            shared = _train(network, images[1], rendezvous, rank=1)
            assert_close(shared, expected)
        except Exception as error:
            return subject.broken(x, error, training=True, note="in each of two processes")
        finally:
            other.join(timeout=10)
            if other.is_alive():
                other.kill()
                other.join()
    return None


def _other_half(share: Share) -> None:
    torch.set_num_threads(1)
    network = _network(share.factory, share.channels)
    network.load_state_dict(share.weights)
    _train(network, share.half, share.rendezvous, rank=0)


def _train(network: nn.Module, half: Tensor, rendezvous: str, rank: int) -> list[Tensor]:
    """Return the gradients, shared by both processes, of one step."""
    distributed.init_process_group(
        "gloo", init_method=rendezvous, rank=rank, world_size=2, timeout=timedelta(minutes=MINUTES)
    )
    try:
        joined = DistributedDataParallel(network)  # it must outlive the backward pass, which it takes part in
        joined(half).square().mean().backward()
    finally:
        distributed.destroy_process_group()
    parameters = list(network.parameters())
    return [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]


def _network(factory: Factory, channels: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), factory(channels)).train()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
