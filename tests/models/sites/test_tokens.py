"""Attention on the grid of tokens: what it gets, in which order, and what passes by."""

import copy
import pickle

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.find import sites


def vit(**arguments) -> nn.Module:
    torch.manual_seed(0)
    given = {"img_size": 64, "depth": 3, "embed_dim": 48, "num_heads": 3, "num_classes": 5} | arguments
    return timm.create_model("vit_tiny_patch16_224", **given).eval()


def swin(**arguments) -> nn.Module:
    torch.manual_seed(0)
    given = {"img_size": 64, "window_size": 4, "depths": (1, 2), "embed_dim": 24, "num_heads": (1, 2)}
    return timm.create_model("swin_tiny_patch4_window7_224", num_classes=5, **given | arguments).eval()


def torchvision_vit() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.VisionTransformer(64, 16, 3, 3, 48, 96, num_classes=5).eval()


def torchvision_swin() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.SwinTransformer([4, 4], 24, [1, 2], [1, 2], [4, 4], num_classes=5).eval()


def efficientformer() -> nn.Module:
    torch.manual_seed(0)
    arguments = {"depths": (1, 1, 1, 2), "embed_dims": (8, 16, 24, 32), "num_classes": 5}
    return timm.create_model("efficientformer_l1", **arguments).eval()


class Columns(nn.Module):
    """Adds 100 × the column to each pixel of a map: what it meant by a column shows in the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 100 * torch.arange(x.shape[3], dtype=x.dtype)


def put(model: nn.Module, module: nn.Module, path: str) -> list[Tensor]:
    """Put `module` in place of a mechanism at `path`; return what it gets and gives, as it runs."""
    foveate.attach(model, "simam", at=[path])
    own = next(iter(attached(model).values()))
    seen: list[Tensor] = []

    def replace(one: nn.Module, args: tuple[Tensor], y: Tensor) -> Tensor:
        seen.append(args[0])
        return module(args[0])

    own.register_forward_hook(replace)
    return seen


@pytest.mark.parametrize(
    ("build", "prefix"),
    [
        (vit, 1),
        (lambda: vit(reg_tokens=4, no_embed_class=True), 5),
        (lambda: vit(class_token=False, global_pool="avg"), 0),
        (torchvision_vit, 1),
    ],
    ids=["class token", "registers", "no class token", "torchvision"],
)
def test_the_grid_of_a_vit_is_that_of_its_patches_and_class_tokens_pass_by(build, prefix):
    model = build()
    stack = model.encoder.layers if prefix and not hasattr(model, "blocks") else model.blocks
    block, path = next((one, path) for path, one in model.named_modules() if one is stack[1])
    branch, output = [], []
    (block.mlp if hasattr(block, "mlp") else block).register_forward_hook(lambda m, a, y: branch.append(y))
    block.register_forward_hook(lambda m, a, y: output.append(y))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        model(images)
        seen = put(model, Columns(), next(site.path for site in sites(model) if site.name == path))
        model(images)
    maps = seen[0]
    assert maps.shape == (2, 48, 4, 4)
    assert torch.equal(maps.flatten(2).transpose(1, 2), branch[0][:, prefix:])
    column = (output[1] - output[0])[:, prefix:].unflatten(1, (4, 4))
    torch.testing.assert_close(column, 100 * torch.arange(4.0)[:, None].expand_as(column), atol=1e-3, rtol=0)
    assert torch.equal(output[1][:, :prefix], output[0][:, :prefix])


@pytest.mark.parametrize("build", [swin, torchvision_swin])
def test_swins_windows_are_put_back_together_before_attention(build):
    """With shifted windows too, the columns are those of the image, and not of a window."""
    model = build()
    last = [site for site in sites(model, "block") if site.stage == 2][-1]
    block = model.get_submodule(last.name)
    output: list[Tensor] = []
    block.register_forward_hook(lambda m, a, y: output.append(y))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        model(images)
        seen = put(model, Columns(), last.path)
        model(images)
    assert seen[0].shape == (2, 48, 8, 8)
    moved = output[1] - output[0]  # (B, H, W, C)
    torch.testing.assert_close(moved, 100 * torch.arange(8.0)[:, None].expand_as(moved), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (96, 32)])
def test_grids_that_are_not_square(height, width):
    model = vit(dynamic_img_size=True)
    seen = put(model, nn.Identity(), "blocks.0.drop_path2")
    windows = swin(strict_img_size=False)
    seen_in_windows = put(windows, nn.Identity(), "layers.1.blocks.1.drop_path2")
    with torch.no_grad():
        model(torch.rand(2, 3, height, width))
        windows(torch.rand(2, 3, height, width))
    assert seen[0].shape == (2, 48, height // 16, width // 16)
    assert seen_in_windows[0].shape == (2, 48, height // 8, width // 8)


BUILT = {
    "vit": (vit, 64),
    "swin": (swin, 64),
    "torchvision_vit": (torchvision_vit, 64),
    "torchvision_swin": (torchvision_swin, 64),
    "efficientformer": (efficientformer, 224),
}


def with_attention(name: str, mechanism: str = "se") -> tuple[nn.Module, Tensor]:
    build, side = BUILT[name]
    model = foveate.attach(build(), mechanism, where="block", reduction=4)
    return model, torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.*deprecated")
@pytest.mark.parametrize("name", BUILT)
def test_tools_give_the_same_output(name):
    model, x = with_attention(name)
    with torch.no_grad():
        expected = model(x)
        assert torch.equal(copy.deepcopy(model)(x), expected)
        assert torch.equal(pickle.loads(pickle.dumps(model))(x), expected)
        program = torch.export.export(model, (x,), strict=False)
        torch.testing.assert_close(program.module()(x), expected)
        assert torch.equal(
            pickle.loads(pickle.dumps(model))(x), expected
        )  # no symbols of the export are left
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), expected)
        torch.testing.assert_close(torch.jit.trace(model, x, check_trace=False)(x), expected)
        if "torchvision" not in name:  # whose code torch.fx cannot trace: it asserts shapes
            torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), expected)


@pytest.mark.full  # compiles two networks
def test_compiled_and_exported_networks_take_other_proportions():
    model = foveate.attach(vit(dynamic_img_size=True), "ca", where="block", reduction=4)
    axes = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
        program = torch.export.export(model, (torch.rand(2, 3, 64, 96),), strict=False, dynamic_shapes=axes)
        for size in ((64, 64), (32, 96), (96, 32)):
            x = torch.rand(3, 3, *size)
            torch.testing.assert_close(compiled(x), model(x))
            torch.testing.assert_close(program.module()(x), model(x))


def test_onnx_takes_images_of_any_proportions(tmp_path):
    pytest.importorskip("onnxruntime")
    model = foveate.attach(vit(dynamic_img_size=True), "cbam", where="block", reduction=4)
    done = foveate.export(model, tmp_path / "model.onnx", "onnx")
    assert done.axes == {"batch": "any", "height": "any", "width": "any"}
    assert any(shape[2] != shape[3] for shape in done.checked)
    assert done.logits_difference < 1e-4


@pytest.mark.parametrize("name", ["vit", "swin"])
def test_checkpointed_blocks_have_the_same_gradients(name):
    model, x = with_attention(name)
    torch.manual_seed(2)  # stochastic depth
    model.train()(x).square().sum().backward()
    expected = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    model.zero_grad()
    model.set_grad_checkpointing(True)
    torch.manual_seed(2)
    model(x).square().sum().backward()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[key])


@pytest.mark.parametrize("name", BUILT)
def test_detaching_and_saving(name, tmp_path):
    build, _ = BUILT[name]
    model, x = with_attention(name)
    with torch.no_grad():
        attended = model(x)
        foveate.save(model, tmp_path / "model.safetensors", backbone=None)
        loaded = foveate.load(tmp_path / "model.safetensors", model=build())
        assert torch.equal(loaded(x), attended)
        foveate.detach(model)
        assert [type(one) for one in model.modules()] == [type(one) for one in build().modules()]
        assert torch.equal(model(x), build()(x))
    for module in model.modules():
        assert not {"attention_layout", "attention_grid", "attention_sites"} & set(vars(module))


def test_a_lost_source_is_restored_or_said():
    model, x = with_attention("vit")
    with torch.no_grad():
        expected = model(x)
        model.patch_embed.proj.__class__ = nn.Conv2d
        assert torch.equal(model(x), expected)
        model.patch_embed.proj = nn.Conv2d(3, 48, 16, 16)
        with pytest.raises(
            RequestError, match=r"the grid of tokens at 'patch_embed\.proj' is no longer recorded"
        ):
            model(x)


def test_the_last_block_of_a_network_that_reads_the_class_token_has_no_place():
    assert [site.name for site in sites(vit(), "block")] == ["blocks.0", "blocks.1"]
    assert [site.path for site in sites(vit(), "stage")] == ["blocks.1"]
    assert len(sites(vit(class_token=False, global_pool="avg"), "block")) == 3
    assert len(sites(torchvision_vit(), "block")) == 2


def test_a_vit_whose_grid_is_not_known_has_no_sites():
    model = vit()
    model.patch_embed = nn.Sequential(nn.Conv2d(3, 48, 16, 16), nn.Flatten(2))
    assert sites(model) == []
    with pytest.raises(RequestError, match="are not known|not known"):
        foveate.attach(model, "se")


def test_mobilevits_place_is_the_whole_map_behind_its_transformer():
    model = timm.create_model("mobilevit_xxs")
    assert "stages.2.1.conv_proj" in {site.path for site in sites(model, "block")}
    assert not any("transformer" in site.path for site in sites(model))


@pytest.mark.parametrize(
    ("model", "at", "message"),
    [
        (vit, "blocks.1.mlp", r"'blocks\.1\.mlp' lies in a block .* goes to 'blocks\.1\.drop_path2' or"),
        (swin, "layers.1.blocks.0.norm1", r"lies in a block that works on tokens or with channels last"),
        (swin, "layers.1", r"keeps its maps as \(B, H, W, C\).*'layers\.1' is none of its blocks"),
        (torchvision_swin, "features.2", r"keeps its maps as \(B, H, W, C\)"),
    ],
)
def test_modules_that_give_no_grid_are_refused(model, at, message):
    network = model()
    with pytest.raises(RequestError, match=message):
        foveate.attach(network, "se", at=[at])
    assert attached(network) == {}


def test_the_stem_of_a_vit_and_whole_blocks_can_be_named():
    model = foveate.attach(vit(), "se", at=["patch_embed.proj", "blocks.0"], reduction=4)
    assert list(attached(model)) == ["patch_embed.proj.attention", "blocks.0.attention"]
    with torch.no_grad():
        assert model(torch.rand(1, 3, 64, 64)).isfinite().all()


def test_tokens_that_fill_no_grid_are_refused_in_a_sentence():
    model = foveate.attach(vit(patch_drop_rate=0.5), "se", where="block", reduction=4).train()
    with pytest.raises(
        RequestError, match=r"shape \(1, 9, 48\), do not fill the grid of 4×4 .*patch_drop_rate"
    ):
        model(torch.rand(1, 3, 64, 64))
    alone = foveate.attach(vit(), "se", where="block", reduction=4).blocks[0]
    with pytest.raises(RequestError, match=r"grid of the tokens at 'blocks\.0\.drop_path2' is not known"):
        alone(torch.rand(1, 17, 48))


def test_maps_are_captured():
    model, x = with_attention("vit", "cbam")
    with foveate.capture(model) as maps, torch.no_grad():
        model(x)
    assert [tuple(one["spatial"].shape) for one in maps.values()] == [(2, 1, 4, 4)] * 2
