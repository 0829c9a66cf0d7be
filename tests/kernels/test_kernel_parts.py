"""What is cached of a module is dropped as soon as anything of the module changes."""

import copy
import math

import pytest
import torch
from mechanism_cases import assert_equal, build, by_equations, images
from torch import nn
from torch.nn.utils import prune

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


def set_again(module: nn.Module) -> None:
    """A parameter and a buffer that come last in their tables now."""
    norm = module.dii.embed[1]
    weight, mean = norm.weight, norm.running_mean
    del norm.weight, norm.running_mean
    norm.weight = nn.Parameter(2 * weight)
    norm.register_buffer("running_mean", mean + 1)


CHANGES = {
    "set again": set_again,
    "pruned": lambda module: prune.remove(
        prune.l1_unstructured(module.dii.embed[1], "weight", amount=0.3), "weight"
    ),
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


def test_parts_of_one_shape_in_another_order_are_not_taken_for_each_other():
    module = build("ca", 16)
    rows = module.rows
    del module.rows
    module.rows = rows
    assert "in this order" in read_parts(module, "ca")
    assert_equal(run(module), by_equations(module, X))


def test_a_forward_in_the_place_of_another_attribute_is_seen():
    module = build("dmsca", 16)
    part = module.gce.mlp[0]
    part.note = 1
    run(module)
    del part.note
    part.forward = lambda z: z.new_ones(len(z), 1, 1, 1)
    assert_equal(run(module), by_equations(module, X))


@pytest.mark.parametrize("training", [False, True])
def test_hooks_of_parts_run(training):
    """Neither the kernels nor the rearranged form would call them."""
    module = build("dmsca", 16).train(training)
    called = []
    for part in (module.aa, module.gce, module.dii.project):
        part.register_forward_hook(lambda part, *_: called.append(part))
    module(X) if training else run(module)
    assert called == [module.gce, module.dii.project, module.aa]


def test_a_module_that_does_not_change_is_read_once():
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
        (lambda module: setattr(module.aa, "forward", lambda x: x), "was replaced"),
        (lambda module: setattr(module.aa.conv.weight, "data", torch.ones(1, 8, 1, 1)), "shape"),
        (lambda module: nn.modules.module.register_module_forward_hook(lambda *_: None), "for all modules"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_the_reason_is_given_after_a_call_too(change, said):
    module = build("dmsca", 16)
    run(module)
    change(module)
    try:
        assert said in read_parts(module, "dmsca")
    finally:
        nn.modules.module._global_forward_hooks.clear()


@pytest.mark.parametrize("options", [{"kernel_sizes": (3,) * 9}, {"mid_channels": 9}], ids=str)
def test_too_many_parts_for_the_kernel(options):
    module = build("dmsca", 16, **options)
    assert isinstance(read_parts(module, "dmsca"), str)
    assert_equal(run(module), by_equations(module, X))


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


def test_a_model_in_channels_last_is_cached_too():
    module = build("dmsca", 16).to(memory_format=torch.channels_last)
    run(module)
    parts = read_parts(module, "dmsca")
    assert parts is read_parts(module, "dmsca")
    module.msce.branches[1][0].weight.data.neg_()
    assert_equal(run(module), by_equations(module, X))


@pytest.mark.parametrize(
    "other", [{"padding_mode": "reflect"}, {"dilation": 2, "padding": 2}, {"bias": True}], ids=str
)
def test_convolutions_with_other_options_are_run_as_they_are(other):
    module = build("dmsca", 16)
    options = {"padding": 1, "bias": False} | other
    module.msce.branches[0][0] = nn.Conv2d(2, 1, 3, **options)
    assert isinstance(read_parts(module, "dmsca"), str)
    assert_equal(run(module), by_equations(module, X))
