"""What is remembered of a module is dropped as soon as anything of it is another."""

import copy
import math

import pytest
import torch
from mechanism_cases import assert_equal, build, by_equations, images
from torch import nn

from foveate.kernels.parts import KERNELS, read_parts

pytest.importorskip("numba")

X = images((2, 16, 6, 6))


def run(module: nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return module(X)


def another_norm(module: nn.Module) -> None:
    norm = copy.deepcopy(module.dii.embed[1])
    norm.running_mean.add_(1)
    module.dii.embed[1] = norm


def reload(module: nn.Module) -> None:
    state = {key: 2 * value for key, value in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def new_data(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.data = parameter.data * 1.5


CHANGES = {
    "in place": lambda module: module.gce.mlp[0].weight.data.neg_(),
    "a parameter": lambda module: setattr(module.aa.conv, "bias", nn.Parameter(torch.ones(1))),
    "data": new_data,
    "assigned": reload,
    "a buffer": lambda module: setattr(module.dii.embed[1], "running_mean", torch.ones(8)),
    "a part": another_norm,
    "eps": lambda module: setattr(module.dii.interact[1], "eps", 0.5),
    "temperature": lambda module: setattr(module.tca, "temperature", 0.25),
    "layout": lambda module: module.to(memory_format=torch.channels_last),
    "there and back": lambda module: module.double().float(),
    "data turned": lambda module: setattr(
        module.gce.mlp[2].weight, "data", module.gce.mlp[2].weight.data.flip(0).contiguous()
    ),
    "parametrized": lambda module: nn.utils.parametrizations.weight_norm(module.dff.conv),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen(change):
    module = build("dmsca", 16)
    before = run(module)
    assert torch.equal(run(module), before)
    change(module)
    assert_equal(run(module), by_equations(module, X))


def test_nothing_is_read_twice_while_nothing_changes():
    module = build("dmsca", 16)
    assert read_parts(module, "dmsca") is read_parts(module, "dmsca")
    assert read_parts(copy.deepcopy(module), "dmsca") is not read_parts(module, "dmsca")


@pytest.mark.parametrize("name", KERNELS)
def test_weights_are_those_of_the_state_dict(name):
    module = build(name, 16)
    wanted = [value for key, value in module.state_dict().items() if "num_batches" not in key]
    assert [w.data_ptr() for w in read_parts(module, name).weights] == [w.data_ptr() for w in wanted]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda module: module.msce.register_forward_hook(lambda *_: None), "hook"),
        (lambda module: module.dii.embed[1].train(), "training mode"),
        (lambda module: module.aa.double(), "not float32"),
        (lambda module: setattr(module.gce, "mlp", nn.Linear(2, 2)), "parts"),
        (lambda module: setattr(module.dii.embed[1], "running_mean", None), "shape"),
        (lambda module: setattr(module.dii, "project", nn.Conv2d(8, 16, 1)), "shape"),
        (lambda module: setattr(module.dii.project, "bias", nn.Parameter(torch.ones(16))), "shape"),
        (lambda module: module.gce.mlp.__setitem__(1, nn.GELU()), "parts"),
        (lambda module: setattr(module.aa, "forward", lambda x: x), "forward of its own"),
        (lambda module: setattr(module.aa.conv.weight, "data", torch.ones(1, 8, 1, 1)), "shape"),
        (lambda module: nn.modules.module.register_module_forward_hook(lambda *_: None), "watched"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_stands_in_the_way_is_said_after_a_call_too(change, said):
    module = build("dmsca", 16)
    run(module)
    change(module)
    try:
        assert said in read_parts(module, "dmsca")
    finally:
        nn.modules.module._global_forward_hooks.clear()


@pytest.mark.parametrize("options", [{"kernel_sizes": (3,) * 9}, {"mid_channels": 9}], ids=str)
def test_what_the_kernel_has_no_room_for(options):
    module = build("dmsca", 16, **options)
    assert isinstance(read_parts(module, "dmsca"), str)
    assert_equal(run(module), by_equations(module, X))


def test_fewer_threads_than_asked_for(tmp_path):
    """OpenMP may give fewer; then they do all of the work."""
    import subprocess
    import sys

    code = f"""
import sys, torch, math
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
from mechanism_cases import assert_equal, build, by_equations, images
torch.set_num_threads(3)
torch.use_deterministic_algorithms(True)  # fills new memory with NaN
for name in {list(KERNELS)!r}:
    module, x = build(name, 20), images((2, 20, 9, 7))
    with torch.inference_mode():
        assert_equal(module(x), by_equations(module, x))
"""
    import os

    environment = os.environ | {"OMP_THREAD_LIMIT": "2", "OMP_DYNAMIC": "false"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_team_of_many_threads():
    before = torch.get_num_threads()
    module = build("dmsca", 16)
    torch.set_num_threads(7)  # more than rows of blocks, not a divisor of anything
    try:
        assert_equal(run(module), by_equations(module, X))
    finally:
        torch.set_num_threads(before)
    assert math.isfinite(run(module).sum())


def test_a_shallow_copy_with_parts_of_its_own():
    module = build("dmsca", 16)
    run(module)
    other = copy.copy(module)
    other._modules = dict(module._modules)
    other.aa = copy.deepcopy(module.aa)
    other.aa.conv.bias.data.add_(3)
    assert_equal(run(other), by_equations(other, X))


def test_a_model_in_channels_last_is_remembered_too():
    module = build("dmsca", 16).to(memory_format=torch.channels_last)
    run(module)
    parts = read_parts(module, "dmsca")
    assert parts is read_parts(module, "dmsca")
    module.msce.branches[1][0].weight.data.neg_()
    assert_equal(run(module), by_equations(module, X))


@pytest.mark.parametrize(
    "form", [{"padding_mode": "reflect"}, {"dilation": 2, "padding": 2}, {"bias": True}], ids=str
)
def test_convolutions_of_another_form_are_run_as_they_are(form):
    module = build("dmsca", 16)
    options = {"padding": 1, "bias": False} | form
    module.msce.branches[0][0] = nn.Conv2d(2, 1, 3, **options)
    assert isinstance(read_parts(module, "dmsca"), str)
    assert_equal(run(module), by_equations(module, X))
