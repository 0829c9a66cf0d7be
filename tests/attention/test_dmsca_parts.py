"""DMSCA with parts left out: each set of parts against its equations written down again here."""

import itertools
from collections import Counter

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import foveate
from foveate import create_attention
from foveate.errors import RequestError
from foveate.kernels import choose_path

NAMES = ("gce", "msce", "dii", "dff", "aa")
CHANNELS = 16


def is_possible(parts: set[str]) -> bool:
    return bool(parts - {"dff"}) and ("dff" not in parts or bool(parts & {"msce", "dii"}))


SETS = [
    parts
    for count in range(1, len(NAMES) + 1)
    for parts in map(set, itertools.combinations(NAMES, count))
    if is_possible(parts)
]
every_set = pytest.mark.parametrize("parts", SETS, ids=lambda parts: "+".join(sorted(parts)))

SMALL = {
    "gce": {"reduction": 4},
    "msce": {"kernel_sizes": (3, 5)},
    "dii": {"mid_channels": 3},
    "dff": {"fusion_init": 0.25},
}
WEIGHTS = {
    "gce": 2 * 16 * 4 + 1,  # and τ
    "msce": 2 * 9 + 2 * 25 + 2 * 2,
    "dii": 16 * 3 + 6 + 6 * 3 * 9 + 6 + 3 * 16,
    "dff": 2 * 16 * 2 + 2,
    "aa": 16 + 1,
}


def build(parts: set[str], *, drawn: bool = False) -> nn.Module:
    torch.manual_seed(3)
    options = {option: value for part in parts for option, value in SMALL.get(part, {}).items()}
    module = create_attention("dmsca", CHANNELS, **options, **{name: name in parts for name in NAMES})
    if drawn:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
            for buffer in module.buffers():
                if buffer.dtype.is_floating_point:
                    buffer.uniform_(0.5, 2)
    return module


def by_hand(state: dict[str, Tensor], parts: set[str], x: Tensor, training: bool) -> Tensor:
    """The equations over the weights of a state dict."""

    def norm(y: Tensor, key: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, gain, bias = (state[f"{key}.{name}"].clone() for name in names)
        return F.batch_norm(y, mean, variance, gain, bias, training=training)

    def conv(y: Tensor, key: str) -> Tensor:
        kernel = state[f"{key}.weight"]
        return F.conv2d(y, kernel, state.get(f"{key}.bias"), padding=kernel.shape[-1] // 2)

    X_c = x
    if "gce" in parts:
        description = F.adaptive_avg_pool2d(x, 1) + F.adaptive_max_pool2d(x, 1)
        f = conv(conv(description, "gce.mlp.0").relu(), "gce.mlp.2")
        X_c = x * (f / state["tca.log_tau"].exp()).sigmoid()
    spatial = torch.ones(())
    if "msce" in parts:
        s = torch.cat([X_c.mean(1, keepdim=True), X_c.amax(1, keepdim=True)], 1)
        scales = [norm(conv(s, f"msce.branches.{i}.0"), f"msce.branches.{i}.1").relu() for i in range(2)]
        spatial = spatial * (scales[0] + scales[1]) / 2
    if "dii" in parts:
        H, W = x.shape[2:]
        lines = torch.cat([X_c.mean(3, keepdim=True), X_c.mean(2, keepdim=True).mT], 2)
        lines = norm(conv(lines, "dii.embed.0"), "dii.embed.1")
        F_h, F_w = lines[:, :, :H].expand(-1, -1, H, W), lines[:, :, H:].mT.expand(-1, -1, H, W)
        F_inter = norm(conv(torch.cat([F_h, F_w], 1), "dii.interact.0"), "dii.interact.1").relu()
        terms = [conv(F_inter * direction, "dii.project") for direction in (F_h, F_w)]
        spatial = spatial * (terms[0] + terms[1]).sigmoid()
    X_out = X_c
    if parts & {"msce", "dii"}:
        X_out = X_s = X_c * spatial.sigmoid()
        if "dff" in parts:
            weights = conv(torch.cat([X_c, X_s], 1), "dff.conv").softmax(1)
            X_out = weights[:, :1] * X_c + weights[:, 1:] * X_s
    return X_out * conv(X_out, "aa.conv").sigmoid() if "aa" in parts else X_out


def test_all_sets_that_can_be():
    assert len(SETS) == 32 - 2 - 3  # less nothing and dff alone, less dff without msce and dii


@every_set
@pytest.mark.parametrize("training", [True, False])
def test_it_is_its_equations(parts, training):
    module = build(parts, drawn=True).double().train(training)
    x = torch.randn(3, CHANNELS, 6, 5, dtype=torch.float64)
    wanted = by_hand(module.state_dict(), parts, x, training)
    torch.testing.assert_close(module(x), wanted, rtol=1e-9, atol=1e-11)


@every_set
def test_an_absent_part_has_no_weights_and_the_others_learn(parts):
    module = build(parts)
    assert sum(parameter.numel() for parameter in module.parameters()) == sum(WEIGHTS[p] for p in parts)
    children = [name for name, _ in module.named_children()]
    assert set(children) - {"tca"} == parts
    assert ("tca" in children) == ("gce" in parts)
    x = torch.randn(4, CHANNELS, 7, 5)
    (module(x) * torch.randn(4, CHANNELS, 7, 5)).sum().backward()
    assert [key for key, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


class Calls(TorchDispatchMode):
    """Counts the operations within by name."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.made[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def test_an_absent_part_does_no_work():
    x = torch.randn(1, CHANNELS, 4, 4)
    for parts in SETS:
        module = build(parts).eval()
        with torch.no_grad(), Calls() as calls:
            module(x)
        convolutions = {"gce": 2, "msce": 2, "dii": 3, "dff": 1, "aa": 1}
        assert calls.made["convolution"] == sum(convolutions[part] for part in parts)
        spatial = bool(parts & {"msce", "dii"})
        sigmoids = ("gce" in parts) + ("dii" in parts) + spatial + ("aa" in parts)
        assert calls.made["sigmoid"] == sigmoids
        # Channels, F_inter ⊙ (F_h + F_w), F_multi ⊙ A_dir, X_s, both weights of the fusion, the activation.
        products = ("gce" in parts) + ("dii" in parts) + ({"msce", "dii"} <= parts)
        products += spatial + 2 * ("dff" in parts) + ("aa" in parts)
        assert calls.made["mul"] == products


def test_the_whole_keeps_its_state():
    shapes = {key: tuple(value.shape) for key, value in create_attention("dmsca", 32).state_dict().items()}

    def norm(key: str, channels: int) -> dict[str, tuple[int, ...]]:
        names = ("weight", "bias", "running_mean", "running_var")
        return {**{f"{key}.{name}": (channels,) for name in names}, f"{key}.num_batches_tracked": ()}

    expected = {"gce.mlp.0.weight": (2, 32, 1, 1), "gce.mlp.2.weight": (32, 2, 1, 1), "tca.log_tau": ()}
    for i, k in enumerate((3, 5, 7)):
        expected |= {f"msce.branches.{i}.0.weight": (1, 2, k, k), **norm(f"msce.branches.{i}.1", 1)}
    expected |= {"dii.embed.0.weight": (8, 32, 1, 1), **norm("dii.embed.1", 8)}
    expected |= {"dii.interact.0.weight": (8, 16, 3, 3), **norm("dii.interact.1", 8)}
    expected |= {"dii.project.weight": (32, 8, 1, 1)}
    expected |= {"dff.conv.weight": (2, 64, 1, 1), "dff.conv.bias": (2,)}
    expected |= {"aa.conv.weight": (1, 32, 1, 1), "aa.conv.bias": (1,)}
    assert list(shapes.items()) == list(expected.items())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_the_fusion_starts_from_the_share_asked_for(share):
    module = create_attention("dmsca", 16, fusion_init=share)
    x_c, x_s = torch.randn(2, 16, 4, 4), torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(module.dff(x_c, x_s), share * x_c + (1 - share) * x_s)


def test_the_share_of_the_fusion_leaves_the_other_parts_as_they_are_drawn():
    states = []
    for options in ({}, {"fusion_init": 0.5}):
        torch.manual_seed(0)
        states.append(create_attention("dmsca", 16, **options).state_dict())
    differing = [key for key, value in states[0].items() if not torch.equal(value, states[1][key])]
    assert differing == ["dff.conv.weight", "dff.conv.bias"]


def test_a_temperature_of_one_leaves_the_sigmoid():
    module = create_attention("dmsca", 16, temperature=1.0)
    f, x = torch.randn(2, 16, 1, 1), torch.randn(2, 16, 3, 3)
    torch.testing.assert_close(module.tca(f, x), x * f.sigmoid())
    assert list(module.tca.parameters()) == []


def test_tau_is_told_where_it_is_learned():
    learned, held = create_attention("dmsca", 16), create_attention("dmsca", 16, temperature=0.5)
    assert learned.tca.learned_numbers() == {"tau": 1.0}
    with torch.no_grad():
        learned.tca.log_tau.fill_(1.0)
    assert learned.tca.learned_numbers()["tau"] == pytest.approx(2.718281828)
    assert held.tca.learned_numbers() == {}


ABSENT = dict.fromkeys(NAMES, False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ABSENT, "all parts of DMSCA are excluded: keep at least one of gce, msce, dii and aa"),
        (ABSENT | {"dff": True}, "all parts of DMSCA are excluded"),
        ({"msce": False, "dii": False}, "dff fuses X_c with the result of msce and dii, .* pass dff=False"),
        ({"gce": False, "reduction": 8}, "reduction=8 belongs to gce, which gce=False excludes"),
        ({"gce": False, "temperature": 1.0}, "temperature=1.0 belongs to gce, which gce=False excludes"),
        ({"msce": False, "kernel_sizes": (3,)}, r"kernel_sizes=\(3,\) belongs to msce"),
        ({"dii": False, "mid_channels": 4}, "mid_channels=4 belongs to dii"),
        ({"dff": False, "fusion_init": 0.5}, "fusion_init=0.5 belongs to dff"),
        ({"gce": "no"}, "gce must be True, or False to exclude it, got 'no'"),
        ({"aa": 0}, "aa must be True, or False to exclude it, got 0"),
        ({"fusion_init": 0}, "fusion_init must be a number between 0 and 1, got 0"),
        ({"fusion_init": 1.0}, "fusion_init must be a number between 0 and 1, got 1.0"),
        ({"fusion_init": float("nan")}, "fusion_init must be a number between 0 and 1, got nan"),
        ({"fusion_init": "half"}, "fusion_init must be a number between 0 and 1, got 'half'"),
        ({"fusion_init": True}, "fusion_init must be a number between 0 and 1, got True"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(RequestError, match=message):
        create_attention("dmsca", 64, **options)


def test_channels_are_checked_without_the_part_that_counts_them():
    with pytest.raises(RequestError, match="channels must be a whole number of at least 1, got 0"):
        create_attention("dmsca", 0, **(ABSENT | {"aa": True}))


@every_set
@pytest.mark.parametrize("training", [True, False])
def test_no_kernel_takes_what_it_has_not_the_equations_of(parts, training):
    module, x = build(parts, drawn=True).train(training), torch.randn(2, CHANNELS, 6, 6)
    with torch.set_grad_enabled(training):
        path, reason, _ = choose_path(module, x, "dmsca")
    if parts == set(NAMES):
        assert path == "numba"
        return
    excluded = [name for name in ("gce", "tca", *NAMES[1:]) if getattr(module, name) is None]
    assert path == "reference"
    assert reason.count(f"parts are excluded ({', '.join(excluded)})") == 2


@every_set
def test_identity_at_the_start_in_a_network(parts):
    torch.manual_seed(0)
    network, x = timm.create_model("cifar_resnet20", num_classes=4), torch.randn(2, 3, 16, 16)
    expected = network.eval()(x)
    options = {option: value for part in parts for option, value in SMALL.get(part, {}).items()}
    switches = {name: name in parts for name in NAMES}
    foveate.attach(network, "dmsca", identity_init=True, **options, **switches)
    assert torch.equal(network(x), expected)
    network.train()(x).square().sum().backward()
    assert all(module.gate.grad is not None for module in foveate.models.attached(network).values())


def test_a_network_says_why_and_comes_back_from_a_file_as_it_was(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8", num_classes=4)
    foveate.attach(network, "dmsca", gce=False, dii=False, kernel_sizes=(3,), fusion_init=0.75)
    for line in foveate.kernel_paths(network):
        assert line.path == "reference"
        assert "parts are excluded (gce, tca, dii)" in str(line)
    foveate.save(network, tmp_path / "network.safetensors")
    again, x = foveate.load(tmp_path / "network.safetensors"), torch.randn(2, 3, 16, 16)
    assert torch.equal(again.eval()(x), network.eval()(x))


FEW = [{"gce"}, {"msce", "dii", "aa"}]


@pytest.mark.parametrize("parts", FEW, ids=lambda parts: "+".join(sorted(parts)))
def test_compiled_whole_gives_the_eager_answer(parts):
    module, x = build(parts, drawn=True), torch.randn(2, CHANNELS, 5, 4)
    torch._dynamo.reset()
    compiled = torch.compile(build(parts, drawn=True), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))


@pytest.mark.parametrize("parts", FEW, ids=lambda parts: "+".join(sorted(parts)))
def test_onnx_gives_the_eager_answer(parts):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module, dynamic = build(parts, drawn=True).eval(), torch.export.Dim
    program = torch.onnx.export(
        module,
        (torch.randn(2, CHANNELS, 6, 5),),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: dynamic("batch"), 2: dynamic("height"), 3: dynamic("width")},),
    )
    session = runtime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = torch.randn(3, CHANNELS, 9, 4)
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert (torch.from_numpy(y) - module(x)).abs().max() < 1e-4
