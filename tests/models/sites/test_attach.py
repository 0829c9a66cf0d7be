"""Attention goes into a network and out again, and leaves the network's own weights and keys alone."""

import copy
import pickle

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.models import IdentityGate, attached
from foveate.models.sites.attach import placements

NETWORKS = {
    "timm resnet18": lambda: timm.create_model("resnet18", zero_init_last=False),
    "timm resnet50": lambda: timm.create_model("resnet50", zero_init_last=False),
    "timm convnext": lambda: timm.create_model("convnext_atto", ls_init_value=1.0, drop_path_rate=0.1),
    "torchvision resnet18": torchvision.models.resnet18,
    "torchvision resnet50": torchvision.models.resnet50,
    "torchvision convnext": lambda: torchvision.models.convnext_tiny(layer_scale=1.0),
}
PLACES = [("dmsca", "block"), ("sgfa", "stage")]


@pytest.fixture(params=NETWORKS, scope="module")
def trained(request) -> nn.Module:
    """A network whose running statistics and norms are not those of the start."""
    torch.manual_seed(0)
    model = NETWORKS[request.param]()
    with torch.no_grad():
        model.train()(images(4))
    return model.eval()


@pytest.fixture
def network(trained) -> nn.Module:
    return copy.deepcopy(trained)


def images(n: int = 2) -> Tensor:
    return torch.randn(n, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def run(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(images())


@pytest.mark.parametrize(("name", "where"), PLACES)
def test_attach_applies_at_every_site_and_keeps_the_keys(network, name, where):
    plain, plain_state = run(network), copy.deepcopy(network.state_dict())
    assert foveate.attach(network, name) is network
    assert not torch.equal(run(network), plain)
    expected = foveate.sites(network, where)
    if where == "stage":
        expected = expected[:3]
    assert list(attached(network)) == [f"{site.path}.attention" for site in expected]
    state = network.state_dict()
    assert all(torch.equal(state[key], value) for key, value in plain_state.items())
    added = [key for key in state if key not in plain_state]
    assert all(key.startswith(tuple(f"{path}." for path in attached(network))) for key in added)


def silence(model: nn.Module) -> None:
    """Make every mechanism give zeros."""
    for module in attached(model).values():
        module.forward = torch.zeros_like


def test_attention_in_a_block_comes_before_the_addition(network):
    """A mechanism that gives zeros leaves the shortcut, and the ReLU that ResNets put behind the addition."""
    silence(foveate.attach(network, "se", where="block"))
    block = network.get_submodule(foveate.sites(network, "block")[0].name)
    seen = {}
    block.register_forward_hook(lambda _, args, y: seen.update(x=args[0], y=y))
    run(network)
    with torch.no_grad():
        shortcut = block.downsample(seen["x"]) if getattr(block, "downsample", None) else seen["x"]
    is_resnet = type(network).__name__ == "ResNet"
    torch.testing.assert_close(seen["y"], shortcut.relu() if is_resnet else shortcut)


def test_attention_at_a_stage_is_the_last_to_run(network):
    silence(foveate.attach(network, "se", where="stage"))
    outputs = []
    for site in foveate.sites(network, "stage"):
        network.get_submodule(site.name).register_forward_hook(lambda _, args, y: outputs.append(y))
    run(network)
    assert [bool(y.any()) for y in outputs] == [False] * 4


@pytest.mark.parametrize(("name", "where"), PLACES)
def test_detach_gives_the_network_back_bit_for_bit(network, name, where):
    plain, keys = run(network), list(network.state_dict())
    foveate.attach(network, name)
    run(network)
    assert foveate.detach(network) is network
    assert torch.equal(run(network), plain)
    assert list(network.state_dict()) == keys
    assert attached(network) == {}
    foveate.attach(network, name)  # and may attach again


@pytest.mark.parametrize(
    ("name", "where", "training"),
    # By default one is tested in training, the other in evaluation.
    [
        pytest.param(*place, training, marks=[] if training == (place == PLACES[0]) else [pytest.mark.full])
        for place in PLACES
        for training in (False, True)
    ],
)
def test_identity_init_is_bit_equal_and_learns_from_the_first_step(network, name, where, training):
    network.train(training)
    torch.manual_seed(3)
    plain = copy.deepcopy(network)(images())
    foveate.attach(network, name, identity_init=True)
    torch.manual_seed(3)  # stochastic depth
    output = network(images())
    assert torch.equal(output, plain)
    gates = [module.gate for module in attached(network).values()]
    torch.nn.functional.cross_entropy(output, torch.tensor([0, 1])).backward()
    assert sum(gate.grad != 0 for gate in gates) >= len(gates) - 1  # stochastic depth may drop a branch
    torch.optim.SGD(gates, lr=1.0).step()
    assert not torch.equal(run(network.eval()), run(copy.deepcopy(foveate.detach(network))))


def test_backbone_weights_load_before_or_after(network):
    weights = copy.deepcopy(network.state_dict())
    before = foveate.attach(network, "se")
    after = copy.deepcopy(before)
    for path, parameter in after.named_parameters():
        if ".attention." not in path:
            nn.init.zeros_(parameter)
    missing, unexpected = after.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert all(".attention." in key for key in missing)
    assert torch.equal(run(after), run(before))


@pytest.mark.parametrize(("name", "where"), PLACES)
def test_copy_pickle_and_compile_keep_the_attention(network, name, where):
    foveate.attach(network, name)
    expected = run(network)
    duplicate, unpickled = copy.deepcopy(network), pickle.loads(pickle.dumps(network))
    foveate.detach(network)
    for model in (duplicate, unpickled):
        assert torch.equal(run(model), expected)
        foveate.detach(model)
        assert torch.equal(run(model), run(network))


@pytest.mark.parametrize(
    ("network", "name"),
    [
        pytest.param("timm resnet18", "dmsca", marks=pytest.mark.full),
        pytest.param("timm convnext", "dmsca", marks=pytest.mark.full),
        ("timm resnet18", "sgfa"),
    ],
)
def test_compiles_whole(network, name):
    model = foveate.attach(NETWORKS[network]().eval(), name)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(run(compiled), run(model))


@pytest.mark.parametrize(("name", "where"), PLACES)
def test_gradient_checkpointing_runs_through_the_attention(name, where):
    torch.manual_seed(0)
    model = foveate.attach(timm.create_model("resnet18"), name).train()
    expected = copy.deepcopy(model)(images())
    model.set_grad_checkpointing()
    output = model(images())
    torch.testing.assert_close(output, expected)
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_attention_takes_the_device_of_its_block():
    model = foveate.attach(timm.create_model("resnet18").to("meta"), "dmsca")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


def test_attention_takes_dtype_and_mode_of_its_block():
    model = timm.create_model("resnet18").double().train()
    model.layer2.eval()
    modules = list(attached(foveate.attach(model, "dmsca")).values())
    assert {parameter.dtype for module in modules for parameter in module.parameters()} == {torch.float64}
    assert [module.training for module in modules] == [True, True, False, False, True, True, True, True]


def test_options_stages_and_two_mechanisms_in_two_places():
    model = timm.create_model("resnet18")
    foveate.attach(model, "se", stages=(3, 4), reduction=8)
    foveate.attach(model, "cbam", where="stage")
    assert model.layer3[0].bn2.attention.reduce.out_channels == 256 // 8
    assert list(attached(model)) == [
        "layer1.1.attention",
        "layer2.1.attention",
        "layer3.0.bn2.attention",
        "layer3.1.attention",
        "layer3.1.bn2.attention",
        "layer4.0.bn2.attention",
        "layer4.1.attention",
        "layer4.1.bn2.attention",
    ]


def test_identity_gate_blends():
    gate = IdentityGate(nn.Hardtanh())
    x = torch.tensor([4.0, -0.5])
    assert torch.equal(gate(x), x)
    nn.init.constant_(gate.gate, 0.5)
    assert gate(x).tolist() == [2.5, -0.5]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "dmcsa"}, ValueError, "unknown attention mechanism 'dmcsa'. Did you mean 'dmsca'"),
        ({"name": "none"}, ValueError, "unknown attention mechanism 'none'"),
        ({"name": "se", "where": "head"}, ValueError, "unknown place 'head'.*block, stage"),
        (
            {"name": "se", "stages": (4, 5)},
            ValueError,
            r"stages=\(4, 5\): ResNet has the stages \[1, 2, 3, 4\]",
        ),
        ({"name": "se", "stages": ()}, ValueError, r"stages=\(\): ResNet has the stages"),
        (
            {"name": "se", "reduktion": 8},
            TypeError,
            "unknown option of se 'reduktion'. Did you mean 'reduction'",
        ),
        (
            {"name": "se", "reduction": 100},
            ValueError,
            "se does not fit 'layer1.0.bn2' with its 64 channels: reduction=100 .*pass reduction <= 64",
        ),
    ],
)
def test_wrong_request_raises_and_leaves_the_network_alone(arguments, error, message):
    model = timm.create_model("resnet18")
    keys = list(model.state_dict())
    with pytest.raises(error, match=message):
        foveate.attach(model, **arguments)
    assert list(model.state_dict()) == keys
    assert attached(model) == {}


def test_attaching_twice_raises():
    model = foveate.attach(timm.create_model("resnet18"), "se")
    with pytest.raises(RequestError, match=r"'layer1.0.bn2' has a child 'attention' already.*foveate.detach"):
        foveate.attach(model, "cbam")
    assert {type(module).__name__ for module in attached(model).values()} == {"SE"}


def test_detaching_nothing_raises():
    with pytest.raises(RequestError, match=r"ResNet has no attention.*nothing to detach"):
        foveate.detach(timm.create_model("resnet18"))


def test_a_mechanism_may_be_written_as_in_its_paper() -> None:
    model = foveate.attach(timm.create_model("resnet18"), "CBAM")
    assert {placement.name for placement in placements(model)} == {"cbam"}
