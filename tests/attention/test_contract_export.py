"""Every mechanism gives the eager answer wherever it goes: compiled, exported, copied, shared out."""

import copy
import pickle
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from foveate import list_attention
from foveate.inspection.check.copies import copy_fault
from foveate.inspection.check.learning import checkpoint_fault
from foveate.inspection.check.programs import compile_fault, export_program

every_mechanism = pytest.mark.parametrize("name", list_attention())


@every_mechanism
def test_compiled_whole_gives_the_eager_answer(build, name):
    assert compile_fault(build(name), torch.randn(2, 8, 5, 4, requires_grad=True)) == ""


@every_mechanism
def test_exported_gives_the_eager_answer_at_any_batch_and_size(build, name):
    module = build(name).eval()
    exported = export_program(module, torch.randn(2, 8, 6, 5)).module()
    for shape in [(3, 8, 9, 4), (2, 8, 2, 11)]:
        x = torch.randn(shape)
        torch.testing.assert_close(exported(x), module(x))


class SideBySide(nn.Module):
    """Every mechanism on the same map, each with an output of its own: one export instead of many."""

    def __init__(self, mechanisms: dict[str, nn.Module]) -> None:
        super().__init__()
        self.mechanisms = nn.ModuleDict(mechanisms)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [mechanism(x) for mechanism in self.mechanisms.values()]


def test_onnx_gives_the_eager_answer_at_any_batch_and_size(build):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    names, size = list_attention(), torch.export.Dim
    modules = SideBySide({name: build(name) for name in names}).eval()
    program = torch.onnx.export(
        modules,
        (torch.randn(2, 8, 6, 5),),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: size("batch"), 2: size("height"), 3: size("width")},),
    )
    session = runtime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for shape in [(3, 8, 9, 4), (1, 8, 1, 1)]:
        x = torch.randn(shape)
        outputs = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        off = [(torch.from_numpy(y) - of).abs().max() for y, of in zip(outputs, modules(x), strict=True)]
        assert {name: value for name, value in zip(names, off, strict=True) if not value < 1e-4} == {}


@every_mechanism
def test_copy_pickle_and_state_dict_carry_everything(build, name):
    module, x = build(name), torch.randn(2, 8, 5, 4)
    module(x)  # moves the running statistics

    def reload(module: nn.Module) -> nn.Module:
        other = build(name, seed=1)
        other.load_state_dict(pickle.loads(pickle.dumps(module.state_dict())))
        return other

    for duplicate in (copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), reload):
        assert copy_fault(module, x, duplicate) == ""


@every_mechanism
def test_checkpointed_gives_the_eager_gradients(build, name):
    assert checkpoint_fault(build(name), torch.randn(2, 8, 5, 4, requires_grad=True)) == ""


def train_one_half(
    rank: int, rendezvous: str, networks: dict[str, nn.Module], halves: list[Tensor], expected: dict
) -> None:
    """Train every network one step on the half of this rank, and compare the shared gradients."""
    torch.distributed.init_process_group(
        "gloo", init_method=rendezvous, rank=rank, world_size=2, timeout=timedelta(minutes=1)
    )
    for name, network in networks.items():
        parallel = DistributedDataParallel(network)
        parallel(halves[rank]).square().mean().backward()
        shared = [parameter.grad for parameter in network.parameters()]
        torch.testing.assert_close(shared, expected[name], msg=lambda text, name=name: f"{name}: {text}")
    torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:Grad strides do not match")
def test_two_processes_share_the_mean_gradient_of_their_halves(build, tmp_path: Path, monkeypatch):
    """This process is the second of the two, which saves the imports of a third."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    halves = [torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 5)]
    networks, expected = {}, {}
    for name in list_attention():
        networks[name] = nn.Sequential(nn.Conv2d(3, 8, 3), build(name))
        per_half = []
        for half in halves:
            alone = copy.deepcopy(networks[name])
            per_half.append(torch.autograd.grad(alone(half).square().mean(), list(alone.parameters())))
        expected[name] = [(first + second) / 2 for first, second in zip(*per_half, strict=True)]
    arguments = ((tmp_path / "rendezvous").as_uri(), networks, halves, expected)
    other = torch.multiprocessing.spawn(train_one_half, arguments, nprocs=1, join=False)
    try:
        train_one_half(1, *arguments)
    finally:
        while not other.join():
            pass
