"""What timm, and what is built on it, asks of every network that it creates."""

import copy
import pickle

import pytest
import timm
import torch
from timm.layers import DropPath
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from torch import nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.backbones.names import BACKBONES

# One of each family, with attention in its blocks and at its stages' ends.
BLOCK = ["resnet18_dmsca", "cifar_resnet20_cbam", "convnext_tiny_se", "mobilenetv3_small_100_eca"]
STAGE = ["resnet18_sgfa", "cifar_resnet20_bam", "convnext_tiny_sgfa", "mobilenetv3_small_100_sgu"]
# By default each family once, and attention at the stages' ends of one.
EACH = [*BLOCK, STAGE[0], *(pytest.param(name, marks=pytest.mark.full) for name in STAGE[1:])]


def create(name, seed=0, **options):
    """The network with its last norms awake, which timm's ResNets set to zero: else attention sees zeros."""
    torch.manual_seed(seed)
    model = timm.create_model(name, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
            nn.init.constant_(module.weight, 0.5)
    return model


def images(size=64, seed=1):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def assert_same(got, expected):
    assert len(got) == len(expected)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(got, expected, strict=True))


def plain_of(name):
    return max((backbone for backbone in BACKBONES if name.startswith(f"{backbone}_")), key=len)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_name_has_its_attention_in_the_groups_of_its_own_layers(backbone):
    for mechanism in foveate.list_attention():
        with torch.device("meta"):
            model = timm.create_model(f"{backbone}_{mechanism}")
        assert model.pretrained_cfg is model.default_cfg
        assert model.pretrained_cfg["architecture"] == f"{backbone}_{mechanism}"
        assert attached(model)
        for coarse in (False, True):
            groups = group_parameters(model, model.group_matcher(coarse=coarse), reverse=True)
            for path, attention in attached(model).items():
                block = path.rpartition(".attention")[0]
                own = {groups[key] for key in groups if key.startswith(f"{path}.")}
                beside = {groups[key] for key in groups if key.startswith(f"{block}.") and path not in key}
                if list(attention.parameters()):
                    # Beside blocks, such as at the end of a ConvNeXt's stage: with the last of them.
                    assert own == {max(beside, default=min(own))}, path


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("resnet18_sgfa", ["layer1.1", "layer2.1", "layer3.1"]),
        ("convnext_tiny_sgfa", ["stages.0.blocks.2", "stages.1.blocks.2", "stages.2.blocks.8"]),
    ],
)
def test_layer_decay_slows_attention_at_a_stages_end_as_its_last_block(name, last):
    model = create(name, num_classes=2)
    optimizer = create_optimizer_v2(model, opt="sgd", lr=0.1, layer_decay=0.7)
    scale = {id(p): group["lr_scale"] for group in optimizer.param_groups for p in group["params"]}
    assert scale.keys() == {id(p) for p in model.parameters()}
    for block, attention in zip(last, attached(model).values(), strict=True):
        beside = next(model.get_submodule(block).parameters())
        assert {scale[id(p)] for p in attention.parameters()} == {scale[id(beside)]}
    assert scale[id(beside)] < 1
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied.group_matcher() == model.group_matcher()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_feature_maps_are_described_as_the_backbones(backbone):
    with torch.device("meta"):
        plain = timm.create_model(backbone, features_only=True).feature_info
        chosen = timm.create_model(f"{backbone}_se", features_only=True, out_indices=(1, 3))
        for mechanism in ("se", "sgfa"):
            ours = timm.create_model(f"{backbone}_{mechanism}", features_only=True).feature_info
            assert tuple(ours.out_indices) == tuple(plain.out_indices)
            for told in ("channels", "reduction", "module_name"):
                assert getattr(ours, told)() == getattr(plain, told)(), told
    assert chosen.feature_info.channels() == plain.channels([1, 3])


@pytest.mark.parametrize("name", EACH)
def test_feature_maps_are_the_networks_own(name):
    whole, maps = create(name, num_classes=0), create(name, features_only=True)
    x = images()
    expected = whole.forward_intermediates(x, intermediates_only=True)
    got = maps(x)
    assert_same(got, expected)
    assert [m.shape[1] for m in got] == maps.feature_info.channels()
    assert [64 // m.shape[2] for m in got] == maps.feature_info.reduction()
    final, last = whole.forward_intermediates(x, indices=1)
    assert_same(last, expected[-1:])
    assert torch.equal(final, whole.forward_features(x))


@pytest.mark.parametrize("name", ["cifar_resnet20_sgfa", "convnext_tiny_sgfa", "mobilenetv3_small_100_sgfa"])
@pytest.mark.parametrize("indices", [(0,), (-1,), 2, (1, 2)])
def test_any_feature_maps_can_be_chosen(name, indices):
    every, x = create(name, features_only=True), images(32)
    maps = create(name, features_only=True, out_indices=indices)
    levels = range(len(every.feature_info))
    taken = levels[-indices:] if isinstance(indices, int) else [levels[i] for i in indices]
    assert_same(maps(x), [every(x)[i] for i in taken])
    assert maps.feature_info.channels() == every.feature_info.channels(list(taken))


@pytest.mark.parametrize("name", EACH)
def test_with_attention_that_changes_nothing_the_maps_are_the_backbones(name, tmp_path):
    file = str(tmp_path / "plain.pth")
    torch.save(create(plain_of(name)).state_dict(), file)
    options = {"pretrained": True, "pretrained_cfg_overlay": {"file": file}, "features_only": True}
    plain, ours = create(plain_of(name), **options), create(name, seed=5, **options)
    with_attention = ours(images())
    for attention in attached(ours).values():
        attention.forward = lambda x: x
    assert_same(ours(images()), plain(images()))
    assert not torch.equal(with_attention[-1], plain(images())[-1])


@pytest.mark.parametrize("name", [BLOCK[0], STAGE[1], STAGE[2], BLOCK[3]])
@pytest.mark.parametrize("wrapper", ["getter", "list", "hook", timm.models.FeatureDictNet])
def test_every_wrapper_of_timm_keeps_the_attention(name, wrapper):
    whole, x = create(name, num_classes=0), images()
    maps = create(name, features_only=True, feature_cls=wrapper)
    got = maps(x)
    assert_same(list(got.values()) if isinstance(got, dict) else got, whole.forward_intermediates(x)[1])
    assert len(attached(maps)) == len(attached(whole)) > 0


@pytest.mark.parametrize("name", ["cifar_resnet20_dmsca", STAGE[3]])
def test_feature_networks_train_copy_pickle_and_load(name):
    maps, other = create(name, features_only=True), create(name, seed=7, features_only=True)
    x = images()
    assert not torch.equal(other(x)[-1], maps(x)[-1])
    other.load_state_dict(maps.state_dict())
    for same in (other, copy.deepcopy(maps), pickle.loads(pickle.dumps(maps))):
        assert len(attached(same)) == len(attached(maps))
        assert_same(same(x), maps(x))
    maps.train()(x)[-1].square().mean().backward()
    for path, attention in attached(maps).items():
        assert any(p.grad is not None and p.grad.any() for p in attention.parameters()), path


@pytest.mark.parametrize("name", EACH)
def test_head_and_features_are_timms(name):
    model, x = create(name, num_classes=5), images()
    features = model.forward_features(x)
    assert torch.equal(model.forward_head(features), model(x))
    before = model.forward_head(features, pre_logits=True)
    assert torch.equal(model.get_classifier()(before), model(x))
    model.reset_classifier(3)
    assert (model.num_classes, model(x).shape) == (3, (2, 3))
    model.reset_classifier(0)
    assert torch.equal(model(x), before)
    assert torch.equal(model.forward_features(x), features)
    headless = create(name, num_classes=0, global_pool="")
    assert headless(x).ndim == 4
    assert len(attached(headless)) == len(attached(model))


@pytest.mark.parametrize("name", ["cifar_resnet20_dmsca", *BLOCK[2:], *STAGE[:2], STAGE[3]])
def test_checkpointed_gradients_are_the_plain_ones(name):
    plain, checkpointed = create(name, num_classes=3).train(), create(name, num_classes=3).train()
    checkpointed.set_grad_checkpointing()
    x = images(32)
    for model in (plain, checkpointed):
        torch.manual_seed(2)
        model(x).square().mean().backward()
    for (key, ours), theirs in zip(checkpointed.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None, key
        torch.testing.assert_close(ours.grad, theirs.grad, msg=key)


@pytest.mark.parametrize("name", BLOCK)
def test_stochastic_depth_is_the_backbones(name):
    plain, dropping = create(name), create(name, drop_path_rate=0.2)
    depths = [m.drop_prob for m in dropping.modules() if isinstance(m, DropPath)]
    backbone = timm.create_model(plain_of(name), drop_path_rate=0.2)
    assert depths == [m.drop_prob for m in backbone.modules() if isinstance(m, DropPath)] != []
    dropping.load_state_dict(plain.state_dict())
    assert torch.equal(dropping(images()), plain(images()))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_images_are_prepared_as_for_the_backbone(backbone):
    with torch.device("meta"):
        ours, plain = timm.create_model(f"{backbone}_se"), timm.create_model(backbone)
    assert timm.data.resolve_model_data_config(ours) == timm.data.resolve_model_data_config(plain)


def test_exportable_networks_export_and_scripting_is_refused():
    model, x = create("cifar_resnet20_se", exportable=True), images(32)
    assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))
    refused = pytest.raises(RequestError, match="TorchScript cannot script .* with attention")
    with pytest.warns(FutureWarning, match=r"torch.jit.script"), refused:
        torch.jit.script(model)


def test_an_argument_that_the_backbone_does_not_take_is_refused():
    with pytest.raises(TypeError, match="no_such_argument"):
        timm.create_model("cifar_resnet20_se", no_such_argument=1)
    with pytest.raises(TypeError, match="out_indices"):
        timm.create_model("cifar_resnet20_se", out_indices=(1,))
