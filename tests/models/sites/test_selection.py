"""Which sites attention goes to: named modules, a callable's choice, and every refusal."""

import copy

import pytest
import timm
import torch
import torchvision
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached


class Tower(nn.Module):
    """A network of one's own, with what makes choosing hard."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.act = nn.ReLU()  # runs twice
        self.body = nn.Sequential(nn.Conv2d(6, 12, 3), nn.Sequential(nn.BatchNorm2d(12), nn.ReLU()))
        self.loop = Loop(nn.Conv2d(12, 12, 1), nn.Conv2d(12, 9, 1))
        self.spare = nn.Identity()  # never runs
        self.head = nn.Linear(9, 2)

    def forward(self, x):
        x = self.loop(self.body(self.act(self.stem(x))))
        return self.head(self.act(x).mean(dim=(2, 3)))


class Loop(nn.ModuleList):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__(layers)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


@pytest.fixture
def tower() -> nn.Module:
    torch.manual_seed(0)
    return Tower().eval()


@pytest.mark.parametrize(
    ("at", "path", "channels"),
    [
        ("stem", "stem", 6),
        (["body"], "body.1.1", 12),
        (["body.1"], "body.1.1", 12),
        (["body.1.0"], "body.1.0", 12),
        (["loop.1"], "loop.1", 9),
        (["loop.1", "stem"], "loop.1", 9),
    ],
)
def test_named_modules_get_it_behind_them(tower, at, path, channels):
    x = torch.rand(2, 1, 11, 7)
    maps = {}
    plain = copy.deepcopy(tower)
    plain.get_submodule(path).register_forward_hook(lambda _, args, y: maps.update(y=y))
    plain(x)
    foveate.attach(tower, "se", at=at, reduction=2)
    tower.get_submodule(path).attention.register_forward_hook(lambda _, args, y: maps.update(x=args[0]))
    tower(x)
    assert len(attached(tower)) == (1 if isinstance(at, str) else len(at))
    if len(attached(tower)) == 1:
        assert torch.equal(maps["x"], maps["y"])
    assert maps["x"].shape[1] == channels
    assert torch.equal(foveate.detach(tower)(x), plain(x))


def test_width_is_found_on_a_copy_that_leaves_no_trace(tower):
    keys = list(tower.state_dict())
    hooks = [len(module._forward_hooks) for module in tower.modules()]
    with pytest.raises(RequestError):
        foveate.attach(tower, "se", at=["body", "spare"])
    assert list(tower.state_dict()) == keys
    assert [len(module._forward_hooks) for module in tower.modules()] == hooks


def test_width_is_found_at_the_networks_own_size_and_on_an_example():
    flat = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 24 * 24, 2))
    with pytest.raises(RequestError, match=r"could not be run to see how wide.*Pass example_input="):
        foveate.attach(flat, "eca", at=["1"])
    foveate.attach(flat, "eca", at=["1"], example_input=torch.zeros(1, 3, 49, 49))
    assert list(attached(flat)) == ["1.attention"]
    foveate.detach(flat).pretrained_cfg = {"input_size": (3, 49, 49)}
    foveate.attach(flat, "eca", at=["1"])


def test_width_is_found_with_several_arguments():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x, mask):
            return self.act(x) * mask

    example = (torch.zeros(1, 8, 4, 4), torch.ones(1, 1, 4, 4))
    model = foveate.attach(Masked(), "se", at=["act"], example_input=example, reduction=8)
    assert model.act.attention.reduce.in_channels == 8


def test_callable_chooses_among_the_known_sites():
    model = foveate.attach(timm.create_model("resnet18"), "se", at=lambda site: site.channels >= 256)
    assert list(attached(model)) == [f"layer{s}.{b}.bn2.attention" for s in (3, 4) for b in (0, 1)]
    foveate.attach(foveate.detach(model), "se", where="stage", stages=(1, 2), at=lambda site: site.stage > 1)
    assert list(attached(model)) == ["layer2.1.attention"]


@pytest.mark.parametrize(
    ("network", "ends"),
    [
        ("resnet18", ["layer1.1", "layer2.1", "layer3.1"]),
        ("mobilenetv3_small_050", ["blocks.0.0", "blocks.1.1", "blocks.3.1"]),
        # The papers' stages 1 to 3 are at 1/4, 1/8 and 1/16 of the image's size.
        ("mobilenetv2_035", ["blocks.1.1", "blocks.2.2", "blocks.4.2"]),
        ("cifar_resnet20", ["layer1.2", "layer2.2", "layer3.2"]),
    ],
)
def test_papers_stages_in_networks_with_more_or_fewer(network, ends):
    model = foveate.attach(timm.create_model(network), "sgfa_ca", reduction=4)
    assert list(attached(model)) == [f"{end}.attention" for end in ends]


def refused(model: nn.Module, message: str, **arguments) -> None:
    keys = list(model.state_dict())
    with pytest.raises(RequestError, match=message):
        foveate.attach(model, "se", **arguments)
    assert list(model.state_dict()) == keys
    assert attached(model) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at": ["bodies"]}, "unknown module of Tower 'bodies'.* Did you mean 'body'"),
        ({"at": []}, r"at=\[\]: expected paths of modules"),
        ({"at": 5}, "at=5: expected paths of modules"),
        ({"at": ["stem", 5]}, "expected paths of modules"),
        ({"identity_init": "no"}, "identity_init must be True or False, got 'no'"),
        ({"at": ["spare"]}, "'spare' does not run in a forward pass"),
        ({"at": ["act"]}, "at 'act' would run 2 times in a forward pass"),
        ({"at": ["loop"]}, "at 'loop' would run 2 times .* runs all its children in a loop"),
        ({"at": ["head"]}, r"'head' gives shape \(1, 2\); attention weighs feature maps, \(B, C, H, W\)"),
        ({"at": ["body", "body.1"]}, r"at= comes to body\.1\.1 more than once"),
        ({"at": ["stem"], "where": "block"}, "at= names modules, so that where= and stages="),
        ({"at": ["stem"], "stages": (1,)}, "at= names modules, so that where= and stages="),
        ({"at": ["stem"]}, "se does not fit 'stem' with its 6 channels: reduction=16 .*pass reduction <= 6"),
        ({}, r"the blocks of Tower are not known \(known are timm's ByobNet, .*; torchvision's .*at=\["),
        ({"where": "stage"}, "the stages of Tower are not known"),
    ],
)
def test_refusals_name_the_site_and_the_way_out(tower, arguments, message):
    refused(tower, message, **arguments)


def test_named_module_that_has_attention_is_refused(tower):
    foveate.attach(tower, "se", at=["loop.1"], reduction=3)
    with pytest.raises(RequestError, match="'loop.1' has a child 'attention' already"):
        foveate.attach(tower, "eca", at=["loop.1"])


class Twice(nn.Module):
    """Convolutions that run twice, and never."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 1)
        self.b = nn.Conv2d(8, 8, 1)
        self.spare = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.b(self.b(self.a(x)))


class Residual(nn.Sequential):
    """A Sequential whose end is not its last child's."""

    def forward(self, x):
        return x + super().forward(x)


class Sum(nn.Module):
    """Branches side by side, of which attention would be one more."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)])

    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


@pytest.mark.parametrize(
    ("model", "at", "message"),
    [
        (Twice(), "b", "'b' would run 2 times"),
        (Twice(), "spare", "'spare' does not run"),
        (
            nn.Sequential(nn.Conv2d(3, 8, 1), Residual(nn.Conv2d(8, 8, 1), nn.ReLU())),
            "1",
            "'1' would run 2 times",
        ),
        (Sum(), "branches", "'branches' is a ModuleList, which does not run: name its children"),
    ],
)
def test_modules_that_would_run_it_elsewhere_or_otherwise(model, at, message):
    refused(model, message, at=at)


def test_maps_with_the_channels_last_in_their_shape():
    refused(
        timm.create_model("swin_tiny_patch4_window7_224"), r"keeps its maps as \(B, H, W, C\)", at="layers.0"
    )


def test_network_that_cannot_run_on_meta_runs_as_it_is():
    class Drawn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 6, 1), nn.ReLU()

        def forward(self, x):
            return self.act(self.conv(x) * torch.linspace(0, 1, x.shape[3]))

    assert foveate.attach(Drawn(), "se", at="act", reduction=6).act.attention.reduce.in_channels == 6


@pytest.mark.parametrize("example", [[torch.zeros(3, 32, 32)], {"images": [torch.zeros(3, 32, 32)]}])
def test_examples_of_other_shapes(example):
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 6, 1), nn.ReLU()

        def forward(self, images):
            return self.act(self.conv(torch.stack(images)))

    model = foveate.attach(Detector(), "eca", at="act", example_input=example)
    assert list(attached(model)) == ["act.attention"]
    refused(Detector(), r"could not be run .*dict: .*Pass example_input=", at="act", example_input={"x": 1})


def test_whoever_listens_to_the_model_does_not_hear_of_the_dry_run(tower):
    heard = []
    tower.act.register_forward_hook(lambda module, args, y: heard.append(y))
    foveate.attach(tower, "se", at="body", reduction=2)
    assert heard == []


def test_model_without_shapes_yet():
    refused(nn.Sequential(nn.LazyConv2d(8, 1)), "has parameters that have no shape yet: run it once", at="0")


def test_sites_are_taken_as_they_are():
    model = timm.create_model("resnet18")
    chosen = [site for site in foveate.sites(model, "block") if site.stage == 3]
    assert len(attached(foveate.attach(model, "se", at=chosen))) == 2


def test_stages_of_two_networks_in_one_model_are_their_own():
    model = nn.ModuleDict({"a": timm.create_model("resnet18"), "b": timm.create_model("mobilenetv2_100")})
    foveate.attach(model, "sgfa_ca")
    assert list(attached(model)) == [
        *(f"a.layer{stage}.1.attention" for stage in (1, 2, 3)),
        *(f"b.blocks.{end}.attention" for end in ("1.1", "2.2", "4.2")),
    ]


@pytest.mark.parametrize("stages", [5, [[1]], [True], "1", 1.5])
def test_stages_that_are_none(stages):
    refused(timm.create_model("resnet18"), r"stages=.*has the stages \[1, 2, 3, 4\]", stages=stages)


def test_one_stage():
    assert len(attached(foveate.attach(timm.create_model("resnet18"), "se", stages=2))) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (5, "5 is no attention mechanism: expected a name"),
        (["se"], "expected a module for each site"),
        (nn.Conv2d, "needs out_channels and kernel_size"),
    ],
)
def test_mechanism_that_is_no_name(name, words):
    with pytest.raises(RequestError, match=words):
        foveate.attach(timm.create_model("cifar_resnet20"), name)


def test_model_that_is_none():
    for refuse in (lambda: foveate.attach("resnet18", "se"), lambda: foveate.sites("resnet18")):
        with pytest.raises(RequestError, match=r"a model is an nn\.Module, got str"):
            refuse()


def test_known_class_of_unknown_blocks():
    refused(
        timm.create_model("res2net50_26w_4s"), "this Res.* is made of blocks that are not known: name modules"
    )


def test_callable_that_keeps_nothing():
    refused(timm.create_model("resnet18"), "at= keeps none of the sites of ResNet", at=lambda site: False)


def test_module_that_gives_no_tensor():
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.two = Two()

        def forward(self, x):
            return self.two(x)[0]

    class Two(nn.Module):
        def forward(self, x):
            return x, x

    refused(Pair(), "'two' gives tuple; attention weighs", at=["two"])


def test_network_without_convolutions():
    refused(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), r"Sequential has no 2-d convolutions.*\(B, C, H, W\)")


def test_transformer_gives_tokens():
    model = timm.create_model("vit_tiny_patch16_224")
    refused(model, r"'norm' gives shape \(1, 197, 192\)", at=["norm"])


@pytest.mark.parametrize("create", [timm.create_model, torchvision.models.get_model])
def test_network_without_residual_blocks(create):
    refused(create("densenet121"), 'DenseNet has no residual blocks: pass where="stage"', where="block")


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize(
    "script", [torch.jit.script, lambda m: torch.jit.trace(m, torch.zeros(1, 3, 32, 32))]
)
def test_scripted_network(script):
    model = script(torchvision.models.resnet18().eval())
    with pytest.raises(
        RequestError, match="is scripted and cannot change: attach to the model it was made from"
    ):
        foveate.attach(model, "se")
    whole = nn.Sequential(model)
    with pytest.raises(RequestError, match="Sequential is scripted"):
        foveate.attach(whole, "se", at=["0"])


@pytest.mark.parametrize("in_place", [True, False])
def test_compiled_network_is_refused(in_place):
    model = timm.create_model("resnet18")
    if in_place:
        model.compile()
    else:
        model = torch.compile(model)
    with pytest.raises(RequestError, match="is compiled: attach to the network itself, before"):
        foveate.attach(model, "se")
