"""The names that timm knows once foveate is imported, and the weights that they load."""

import fnmatch

import pytest
import safetensors.torch
import timm
import timm.models
import torch

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.backbones.names import BACKBONES, TOKEN_BACKBONES, registered_names

PAIRS = [(backbone, mechanism) for backbone in BACKBONES for mechanism in foveate.list_attention()]
PAIRS += [(backbone, name) for backbone in TOKEN_BACKBONES for name in ("dmsca", "se", "cbam", "ca")]
NAMES = [f"{backbone}_{mechanism}" for backbone, mechanism in PAIRS]


def attention_of(model):
    return {key: value for key, value in model.state_dict().items() if key.startswith(tuple(attached(model)))}


def distinct(model):
    """The same network with every tensor different from any fresh draw."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(0.01 * torch.rand(tensor.shape) if tensor.is_floating_point() else 1)
    return model


def assert_equal(state, expected):
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(state[key], value), key


def test_every_mechanism_in_every_backbone_has_a_name():
    assert set(NAMES) == set(registered_names())
    assert set(NAMES) <= set(timm.list_models())
    assert set(NAMES) == set(timm.list_models(module="registry"))
    assert timm.list_models("resnet50_*", module="registry") == fnmatch.filter(sorted(NAMES), "resnet50_*")
    assert "resnet50_se" not in timm.list_models("resnet50_*", exclude_filters="*_se")
    for name in NAMES:
        assert timm.is_model(name)
        entrypoint = timm.model_entrypoint(name)
        assert (entrypoint.__name__, entrypoint.__module__) == (name, "foveate.models.backbones.registry")
        assert timm.get_pretrained_cfg(name).architecture == name


@pytest.mark.parametrize("backbone", ["resnet18", "cifar_resnet20", "convnext_tiny", "mobilenetv3_small_100"])
@pytest.mark.parametrize("mechanism", ["dmsca", "sgfa"])
def test_named_network_is_the_backbone_with_the_mechanism(backbone, mechanism):
    torch.manual_seed(0)
    named = timm.create_model(f"{backbone}_{mechanism}", num_classes=10, in_chans=1).eval()
    torch.manual_seed(0)
    built = foveate.attach(timm.create_model(backbone, num_classes=10, in_chans=1), mechanism).eval()
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(named(x), built(x))


def test_pretrained_tags_are_the_backbones():
    for backbone, mechanism in PAIRS:
        plain = timm.models.get_arch_pretrained_cfgs(backbone)
        name = f"{backbone}_{mechanism}"
        ours = timm.models.get_arch_pretrained_cfgs(name)
        assert [key.removeprefix(name) for key in ours] == [key.removeprefix(backbone) for key in plain]
        for cfg, own in zip(plain.values(), ours.values(), strict=True):
            assert {**cfg.to_dict(), "architecture": name} == own.to_dict()
    assert timm.list_models("cifar_resnet18_se", pretrained=True) == []
    assert "resnet50_dmsca.a1_in1k" in timm.list_pretrained()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", ["resnet18_se.tv_in1k", "mobilenetv3_small_100_sgfa.lamb_in1k"])
def test_pretrained_loads_the_backbones_weights_and_adapts_head_and_input(name, suffix, tmp_path):
    backbone = distinct(timm.create_model(name.rpartition("_sgfa")[0] or name.rpartition("_se")[0]))
    file = tmp_path / f"weights.{suffix}"
    save = torch.save if suffix == "pth" else safetensors.torch.save_file
    save(backbone.state_dict(), file)
    model = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={"file": str(file)}, num_classes=7, in_chans=1
    )
    first, head = model.pretrained_cfg["first_conv"], model.pretrained_cfg["classifier"]
    assert model.get_classifier().out_features == 7
    state, attention = model.state_dict(), attention_of(model)
    for key, value in backbone.state_dict().items():
        if key == f"{first}.weight":
            torch.testing.assert_close(state[key], value.sum(1, keepdim=True))
        elif not key.startswith(head):
            assert torch.equal(state[key], value), key
    assert state.keys() - attention.keys() == backbone.state_dict().keys()
    assert model.pretrained_cfg["tag"] == name.split(".")[1]


def test_pretrained_leaves_the_attention_as_it_was_drawn(tmp_path):
    torch.save(timm.create_model("cifar_resnet20").state_dict(), tmp_path / "plain.pth")
    overlay = {"file": str(tmp_path / "plain.pth")}
    torch.manual_seed(3)
    drawn = timm.create_model("cifar_resnet20_dmsca")
    torch.manual_seed(3)
    loaded = timm.create_model("cifar_resnet20_dmsca", pretrained=True, pretrained_cfg_overlay=overlay)
    assert_equal(attention_of(loaded), attention_of(drawn))


@pytest.mark.parametrize("backbone", TOKEN_BACKBONES)
def test_a_network_of_tokens_loads_its_backbones_weights_and_keeps_timms_contract(backbone, tmp_path):
    plain = distinct(timm.create_model(backbone))
    weights = plain.state_dict()
    if backbone.startswith("deit3"):  # published with its layer scales under other names
        weights = {
            key.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): value
            for key, value in weights.items()
        }
    torch.save(weights, tmp_path / "plain.pth")
    overlay = {"file": str(tmp_path / "plain.pth")}
    name = f"{backbone}_se"
    side = 224 if backbone.startswith("swin") else 64  # timm's resizing of Swin's tables warns in new torch
    model = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, img_size=side)
    state = model.state_dict()
    resized = ("pos_embed", "relative_position_bias_table")
    for key, value in plain.state_dict().items():
        if not key.endswith(resized):
            assert torch.equal(state[key], value), key
    assert state.keys() - attention_of(model).keys() == plain.state_dict().keys()
    images = torch.rand(1, 3, side, side)
    with torch.no_grad():
        features = timm.create_model(name, features_only=True, img_size=side).eval()
        shapes = [tuple(one.shape) for one in features(images)]
        expected = timm.create_model(backbone, features_only=True, img_size=side).eval()(images)
        assert shapes == [tuple(one.shape) for one in expected]
        assert attention_of(features)
        assert model.eval().forward_intermediates(images, intermediates_only=True)[-1].isfinite().all()


def test_a_convnext_in_its_authors_layout_loads_as_into_the_backbone(tmp_path):
    plain = distinct(timm.create_model("convnext_tiny"))
    renamed = {
        "stem.": "downsample_layers.0.", ".blocks.": ".", "conv_dw": "dwconv", "mlp.fc": "pwconv",
        "head.norm": "norm", "head.fc": "head",
    }  # fmt: skip
    theirs = {}
    for key, value in plain.state_dict().items():
        stage, _, rest = key.partition(".downsample.")
        key = f"downsample_layers.{stage[-1]}.{rest}" if rest else key
        for ours, other in renamed.items():
            key = key.replace(ours, other)
        theirs[key] = value
    torch.save({"model": theirs}, tmp_path / "authors.pth")
    overlay = {"file": str(tmp_path / "authors.pth")}
    model = timm.create_model("convnext_tiny_se", pretrained=True, pretrained_cfg_overlay=overlay)
    state = model.state_dict()
    assert_equal({key: state[key] for key in state.keys() - attention_of(model).keys()}, plain.state_dict())


@pytest.mark.parametrize("name", ["cifar_resnet20_bam", "mobilenetv3_small_100_se"])
@pytest.mark.parametrize("safe", [False, True])
def test_a_folder_saved_for_the_hub_comes_back_whole(name, safe, tmp_path):
    model = distinct(timm.create_model(name, num_classes=4, in_chans=1)).eval()
    timm.models.save_for_hf(model, tmp_path, safe_serialization=safe)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert_equal(again.state_dict(), model.state_dict())
    x = torch.randn(1, 1, 32, 32)
    assert torch.equal(again(x), model(x))
    assert again.pretrained_cfg["architecture"] == name
    maps = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, features_only=True)
    assert_equal(attention_of(maps), {f"model.{key}": value for key, value in attention_of(model).items()})


def test_weights_with_attention_keep_it_when_the_head_is_new(tmp_path):
    model = distinct(timm.create_model("cifar_resnet20_dmsca"))
    torch.save(model.state_dict(), tmp_path / "full.pth")
    overlay = {"file": str(tmp_path / "full.pth"), "num_classes": -1}  # as timm's train.py --pretrained-path
    tuned = timm.create_model(
        "cifar_resnet20_dmsca", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=3
    )
    assert_equal(attention_of(tuned), attention_of(model))
    assert tuned.fc.out_features == 3


@pytest.mark.parametrize("other", ["cifar_resnet20_dmsca", "cifar_resnet20_sgfa"])
def test_weights_with_other_attention_are_refused_even_under_a_new_head(other, tmp_path):
    torch.save(timm.create_model(other).state_dict(), tmp_path / "other.pth")
    overlay = {"file": str(tmp_path / "other.pth"), "num_classes": -1}
    with pytest.raises(RequestError, match=r"other attention than cifar_resnet20_se's: \d+ entries differ"):
        timm.create_model("cifar_resnet20_se", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=3)


def test_a_checkpoint_of_training_comes_back_whole(tmp_path):
    model = distinct(timm.create_model("cifar_resnet20_sgfa", num_classes=3))
    torch.save({"state_dict": model.state_dict(), "epoch": 1}, tmp_path / "last.pth.tar")
    again = timm.create_model("cifar_resnet20_sgfa", num_classes=3, checkpoint_path=tmp_path / "last.pth.tar")
    assert_equal(again.state_dict(), model.state_dict())


def test_timms_scripts_may_resolve_the_arguments_first(tmp_path):
    resolve = getattr(timm.models, "resolve_model_input_args", None)
    if resolve is None:
        pytest.skip("this timm has no resolve_model_input_args")
    plain = distinct(timm.create_model("cifar_resnet20"))
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    overlay = {"file": str(tmp_path / "plain.pth")}
    arguments = resolve("cifar_resnet20_se", {}, pretrained=True, pretrained_cfg_overlay=overlay)
    assert arguments["pretrained_cfg"]["architecture"] == "cifar_resnet20_se"
    assert torch.equal(timm.create_model(**arguments).fc.weight, plain.fc.weight)
