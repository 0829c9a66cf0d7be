"""Whatever a tool makes of a network with attention answers like that network, or the tool raises by name.

It never answers like the network without attention. The table in docs/plugging-in.md is held to this file. By
default each tool is used on each network, with one of the two mechanisms; `make test-all` takes both.
"""

import copy
import functools
import importlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import timm.layers
import timm.utils
import torch
import torchvision
from torch import Tensor, nn
from torch.ao.quantization import (
    fuse_modules,
    get_default_qconfig_mapping,
    quantize_dynamic,
    quantize_fx,
)
from torch.func import functional_call
from torch.fx.experimental.optimization import fuse
from torch.nn.utils import fuse_conv_bn_eval, prune
from torch.nn.utils.parametrize import register_parametrization
from torch.optim.swa_utils import AveragedModel
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

import foveate
from cover import cover
from foveate.models.sites.find import sites

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "timm resnet18": lambda: timm.create_model("resnet18", layers=(1, 1, 1, 1)),
    "timm convnext_atto": lambda: timm.create_model(
        "convnext_atto", depths=(1, 1, 1, 1), drop_path_rate=0.1, ls_init_value=1.0
    ),
    "timm mobilenetv3_small_100": lambda: timm.create_model("mobilenetv3_small_100"),
    "torchvision resnet18": torchvision.models.resnet18,
}
MECHANISMS = ("se", "dmsca")
EQUAL, RAISES, NOTHING = "equal", "raises", "—"  # the last: the network has nothing that the tool takes


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@functools.cache
def trained(name: str) -> nn.Module:
    """A network whose norms are neither 1 nor 0: timm starts the last of each block at 0, which hides all."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    with torch.no_grad():
        model.train()(images(8))
    return model.eval()


def plain(name: str) -> nn.Module:
    return copy.deepcopy(trained(name))


def attend(model: nn.Module, mechanism: str) -> nn.Module:
    """Attach to the third stage, which keeps the tools fast."""
    torch.manual_seed(2)
    return foveate.attach(model, mechanism, where="block", stages=3).eval()


def run(model: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.no_grad():
        return model(images())


def quantise_fx(model: nn.Module) -> nn.Module:
    prepared = quantize_fx.prepare_fx(model, get_default_qconfig_mapping("x86"), (images(),))
    run(prepared)
    return quantize_fx.convert_fx(prepared)


def quantise_pt2e(model: nn.Module) -> nn.Module:
    """In torch until 2.9, in torchao since then."""
    for home in ("torchao.quantization.pt2e", "torch.ao.quantization"):
        try:
            tools = importlib.import_module(f"{home}.quantize_pt2e")
            quantizers = importlib.import_module(f"{home}.quantizer.x86_inductor_quantizer")
        except ImportError:
            continue
        quantizer = quantizers.X86InductorQuantizer()
        quantizer.set_global(quantizers.get_default_x86_inductor_quantization_config())
        prepared = tools.prepare_pt2e(torch.export.export(model, (images(),)).module(), quantizer)
        run(prepared)
        return tools.convert_pt2e(prepared)
    pytest.skip("this torch has no PT2E, and torchao is not installed")


def at_the_site(model: nn.Module) -> tuple[nn.Module, str, str]:
    """The module around the last site of the third stage, and the names of its convolution and its norm."""
    site = [site for site in sites(model, "block") if site.stage == 3][-1]
    around, _, norm = site.path.rpartition(".")
    block = model.get_submodule(around)
    names = list(block._modules)
    return block, names[names.index(norm) - 1], norm


def fuse_at_a_site(model: nn.Module) -> nn.Module:
    block, convolution, norm = at_the_site(model)
    fuse_modules(block, [convolution, norm], inplace=True)
    return model


def fuse_by_hand(model: nn.Module) -> nn.Module:
    block, convolution, norm = at_the_site(model)
    pair = block.get_submodule(convolution), block.get_submodule(norm)
    setattr(block, convolution, fuse_conv_bn_eval(*pair))
    setattr(block, norm, nn.Identity())
    return model


def freeze(model: nn.Module) -> nn.Module:
    timm.utils.freeze(model)
    return model


def freeze_and_unfreeze(model: nn.Module) -> nn.Module:
    return timm.layers.unfreeze_batch_norm_2d(timm.layers.freeze_batch_norm_2d(model)).eval()


def freeze_as_detectors(model: nn.Module) -> nn.Module:
    """As detectors of older torchvision versions and detectron2 convert norms."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                frozen = torchvision.ops.FrozenBatchNorm2d(child.num_features, child.eps)
                frozen.load_state_dict(child.state_dict(), strict=False)
                setattr(parent, name, frozen)
    return model


def prune_all(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            prune.identity(module, "weight")
    return model


def parametrize(model: nn.Module) -> nn.Module:
    for module in list(model.modules()):
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            register_parametrization(module, "weight", nn.Identity())
    return model


def trace(model: nn.Module) -> nn.Module:
    return torch.jit.trace(model, images(), check_trace=False)


def call_functionally(model: nn.Module) -> Callable[[Tensor], Tensor]:
    state = model.state_dict()
    return lambda x: functional_call(model, state, (x,))


def extract(model: nn.Module) -> Callable[[Tensor], Tensor]:
    last = get_graph_node_names(model)[1][-1]
    extractor = create_feature_extractor(model, [last])
    return lambda x: extractor(x)[last]


def through_a_file(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def compile_(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return torch.compile(model, backend="eager", fullgraph=True)


def compile_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager", fullgraph=True)
    return model


def export(model: nn.Module) -> nn.Module:
    return torch.export.export(model, (images(),)).module()


everywhere = dict.fromkeys(NETWORKS, EQUAL)
by_name = dict.fromkeys(NETWORKS, RAISES)
of_norms = by_name | {"timm convnext_atto": EQUAL}  # it has no batch norms
of_pairs = by_name | {"timm convnext_atto": NOTHING}

TOOLS: dict[str, tuple[Callable[[nn.Module], Callable[[Tensor], Tensor]], dict[str, str]]] = {
    "`torch.compile`, after the baseline was compiled": (compile_, everywhere),
    "`network.compile()`": (compile_in_place, everywhere),
    "`torch.export`": (export, everywhere),
    "`torch.jit.trace`": (trace, everywhere),
    "`torch.jit.script`": (torch.jit.script, by_name),
    "`torch.fx.symbolic_trace`": (torch.fx.symbolic_trace, everywhere),
    "`torch.fx.experimental.optimization.fuse`": (fuse, everywhere),
    "`fuse_fx`": (quantize_fx.fuse_fx, everywhere),
    "`prepare_fx`, `convert_fx`": (quantise_fx, everywhere),
    "`prepare_pt2e`, `convert_pt2e` (skipped without torchao)": (quantise_pt2e, everywhere),
    "`quantize_dynamic`": (quantize_dynamic, everywhere),
    "`fuse_modules` at a site": (fuse_at_a_site, of_pairs),
    "`fuse_conv_bn_eval` at a site": (fuse_by_hand, of_pairs),
    "`nn.SyncBatchNorm.convert_sync_batchnorm`": (nn.SyncBatchNorm.convert_sync_batchnorm, everywhere),
    "`timm.layers.convert_sync_batchnorm`": (timm.layers.convert_sync_batchnorm, everywhere),
    "`timm.layers.convert_splitbn_model`": (timm.layers.convert_splitbn_model, everywhere),
    "`timm.utils.freeze`": (freeze, of_norms),
    "`timm.layers.freeze_batch_norm_2d`, `unfreeze_batch_norm_2d`": (freeze_and_unfreeze, of_norms),
    "`torchvision.ops.FrozenBatchNorm2d` for every norm": (freeze_as_detectors, of_norms),
    "`nn.utils.prune`": (prune_all, everywhere),
    "`nn.utils.parametrize`": (parametrize, everywhere),
    "`torch.func.functional_call`": (call_functionally, everywhere),
    "torchvision's `create_feature_extractor`": (extract, everywhere),
    "`nn.DataParallel`": (nn.DataParallel, everywhere),
    "`timm.utils.ModelEmaV3`": (timm.utils.ModelEmaV3, everywhere),
    "`torch.optim.swa_utils.AveragedModel`": (AveragedModel, everywhere),
    "`copy.deepcopy`": (copy.deepcopy, everywhere),
    "`pickle`": (lambda model: pickle.loads(pickle.dumps(model)), everywhere),
    "`torch.save` of the whole module": (through_a_file, everywhere),
}
CONVERTERS = {name for name in TOOLS if "convert_s" in name}
"""What these make of a norm need not be the norm: torch's drops the activation inside of one of timm's."""
ROUNDING = {name for name in TOOLS if name.startswith(("`prepare_", "`quantize_"))}
"""The weights and maps of these have 8 bits."""
CELLS = [
    (tool, network, mechanism)
    for tool, (_, outcomes) in TOOLS.items()
    for network in NETWORKS
    if outcomes[network] != NOTHING
    for mechanism in MECHANISMS
]


@pytest.mark.filterwarnings("ignore")  # of the tools themselves, some of which are deprecated
@pytest.mark.parametrize(("tool", "network", "mechanism"), cover(CELLS, (0, 1), (0, 2)))
def test_what_a_tool_makes_has_its_attention_or_the_tool_raises(tool, network, mechanism):
    use, outcomes = TOOLS[tool]
    model = attend(plain(network), mechanism)
    if "compile" in tool:
        torch._dynamo.reset()
    if "after the baseline was compiled" in tool:
        run(use(plain(network)))
    if outcomes[network] == RAISES:
        with pytest.raises(Exception, match=r"(?i)attention"):
            run(use(model))
        return
    without = run(use(plain(network)).eval() if tool in CONVERTERS else trained(network))
    expected = run(attend(use(plain(network)), mechanism) if tool in CONVERTERS else copy.deepcopy(model))
    away = (expected - without).abs().max()
    assert away > 0.05 * expected.abs().max()
    made = use(model)
    if tool in CONVERTERS:
        made.eval()
    got = run(made)
    if tool in ROUNDING:
        assert (got - expected).norm() < 0.8 * (got - without).norm()
    else:
        assert (got - expected).abs().max() < away * 1e-3


def test_docs_have_the_table():
    rows = [f"| | {' | '.join(NETWORKS)} |", f"|:--|{':--|' * len(NETWORKS)}"]
    rows += [f"| {tool} | {' | '.join(outcomes.values())} |" for tool, (_, outcomes) in TOOLS.items()]
    docs = Path(__file__).parents[2] / "docs" / "plugging-in.md"
    assert "\n".join(rows) in docs.read_text(), "\n".join(rows)
