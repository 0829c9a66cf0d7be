"""Attention stays on, or says that it is gone, when a network's norms are replaced."""

import copy

import pytest
import timm
import timm.layers
import timm.utils
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.models import attached

NETWORKS = {
    "resnet": lambda: timm.create_model("cifar_resnet20", zero_init_last=False),
    "mobilenet": lambda: timm.create_model("mobilenetv3_small_050"),
    "torchvision": lambda: torchvision.models.mobilenet_v2(width_mult=0.25),
}
CONVERTERS = {
    "torch's synchronised": nn.SyncBatchNorm.convert_sync_batchnorm,
    "timm's synchronised": timm.layers.convert_sync_batchnorm,
    "timm's split": timm.layers.convert_splitbn_model,
}


@pytest.fixture(params=NETWORKS)
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return foveate.attach(NETWORKS[request.param](), "eca", where="block").eval()


def run(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("converter", CONVERTERS)
def test_converted_norms_keep_their_attention(network, converter):
    convert = CONVERTERS[converter]
    plain = convert(foveate.detach(copy.deepcopy(network))).eval()
    expected, paths = run(network), list(attached(network))
    converted = convert(network).eval()
    assert list(attached(converted)) == paths
    attended = run(converted)
    if not (converter == "torch's synchronised" and isinstance(network, timm.models.MobileNetV3)):
        assert torch.equal(attended, expected)  # torch's drops the activations that timm's norms hold
    assert torch.equal(run(copy.deepcopy(converted)), attended)
    assert not torch.equal(run(plain), attended)
    foveate.detach(converted)
    assert attached(converted) == {}
    assert torch.equal(run(converted), run(plain))


@pytest.mark.parametrize("compiled_first", [True, False])
def test_converted_network_compiles_with_its_attention(compiled_first):
    model = foveate.attach(NETWORKS["resnet"](), "eca").eval()
    expected = run(model)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if not compiled_first:
        run(converted)
    torch._dynamo.reset()
    compiled = torch.compile(converted, fullgraph=True, backend="eager")
    assert torch.equal(run(compiled), expected)


def test_densenets_norms_are_converted_too():
    model = foveate.attach(timm.create_model("densenet121"), "eca", where="stage").eval()
    expected = run(model)
    assert torch.equal(run(timm.layers.convert_sync_batchnorm(model)), expected)


def test_frozen_norms_that_lost_their_attention_say_so():
    model = foveate.attach(timm.create_model("resnet18"), "se")
    timm.utils.freeze(model, ["layer1"])
    with pytest.raises(
        RequestError, match=r"attention at 'layer1\.0\.bn2' is gone: .*FrozenBatchNorm2d.*then attach"
    ):
        run(model)
    foveate.detach(model)
    run(model)


def test_freezing_first_works():
    model = timm.create_model("resnet18")
    timm.utils.freeze(model, ["layer1"])
    plain = run(model.eval())
    foveate.attach(model, "se", identity_init=True)
    assert len(attached(model)) == 8
    assert torch.equal(run(model), plain)


def test_detaching_leaves_no_trace():
    model = NETWORKS["resnet"]()
    before = [(path, sorted(vars(module))) for path, module in model.named_modules()]
    foveate.detach(foveate.attach(model, "se", where="block"))
    assert [(path, sorted(vars(module))) for path, module in model.named_modules()] == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_parallel_wrapper_has_taken_note_of_the_parameters(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        inner = foveate.attach(timm.create_model("cifar_resnet20"), "se", stages=1)
        model = nn.parallel.DistributedDataParallel(inner)
        for change in (lambda: foveate.attach(model, "se", stages=2), lambda: foveate.detach(model)):
            with pytest.raises(
                RequestError, match="DistributedDataParallel has taken note of its parameters"
            ):
                change()
    finally:
        torch.distributed.destroy_process_group()


def test_refused_request_draws_no_random_numbers():
    model = foveate.attach(timm.create_model("cifar_resnet20"), "se", stages=3)
    state = torch.get_rng_state()
    for arguments in ({}, {"stages": (1, 2), "reduction": 17}):
        with pytest.raises(RequestError):
            foveate.attach(model, "se", **arguments)
        assert torch.equal(torch.get_rng_state(), state)


def test_symbolic_tracing_sees_the_attention():
    from torchvision.models.feature_extraction import create_feature_extractor

    model = foveate.attach(torchvision.models.resnet18(), "bam").eval()
    x, seen = torch.rand(1, 3, 64, 64), []
    model.layer1.register_forward_hook(lambda module, args, y: seen.append(y))
    with torch.no_grad():
        maps = create_feature_extractor(model, ["layer1"])(x)
        model(x)
        assert torch.equal(maps["layer1"], seen[-1])
        foveate.detach(model)(x)
    assert not torch.equal(maps["layer1"], seen[-1])
