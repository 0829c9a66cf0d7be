"""Attention is part of what a network is: for compilers, copies and converters, until it is detached."""

import copy
import itertools
import pickle

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
    with pytest.warns(UserWarning, match="2 of the 8 sites lie in frozen parts of ResNet"):
        foveate.attach(model, "se", identity_init=True)
    assert len(attached(model)) == 8
    assert torch.equal(run(model), plain)


def test_detaching_leaves_no_trace():
    model = NETWORKS["resnet"]()
    before = [(path, type(module), sorted(vars(module))) for path, module in model.named_modules()]
    foveate.attach(foveate.attach(model, "se", where="block"), "eca", where="stage")
    foveate.detach(model)
    assert [(path, type(module), sorted(vars(module))) for path, module in model.named_modules()] == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def small(mechanism: str | None) -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("cifar_resnet8", zero_init_last=False)
    return (foveate.attach(model, mechanism, where="block") if mechanism else model).eval()


ORDERS = list(itertools.permutations([None, "eca", "ca"]))


@pytest.mark.parametrize(
    ("order", "reset"),
    # By default each of the three comes first once, and last once.
    [
        (ORDERS[0], True),
        *((ORDERS[index], False) for index in (0, 3, 4)),
        *(pytest.param(ORDERS[index], False, marks=pytest.mark.full) for index in (1, 2, 5)),
    ],
    ids=str,
)
def test_networks_compiled_one_after_the_other_have_their_own_attention(order, reset):
    torch._dynamo.reset()
    compiled = {}
    for mechanism in order:
        if reset:
            torch._dynamo.reset()
        compiled[mechanism] = torch.compile(small(mechanism), fullgraph=True, backend="eager")
        assert torch.equal(run(compiled[mechanism]), run(small(mechanism)))
    for mechanism in order:  # and each still has it when the others are there
        assert torch.equal(run(compiled[mechanism]), run(small(mechanism)))


def test_network_compiled_before_it_got_attention_runs_it():
    torch._dynamo.reset()
    model = small(None)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    plain = run(compiled)
    foveate.attach(model, "ca", where="block")
    attended = run(compiled)
    assert torch.equal(attended, run(model))
    assert not torch.equal(attended, plain)
    foveate.detach(model)
    assert torch.equal(run(compiled), plain)


def test_converted_network_does_not_run_the_graph_of_the_plain_converted_one():
    torch._dynamo.reset()
    convert = nn.SyncBatchNorm.convert_sync_batchnorm
    expected = run(small("eca"))
    run(torch.compile(convert(small(None)).eval(), fullgraph=True, backend="eager"))
    converted = convert(small("eca")).eval()
    assert torch.equal(run(torch.compile(converted, fullgraph=True, backend="eager")), expected)


def test_compiled_network_whose_norms_are_frozen_afterwards_says_so():
    torch._dynamo.reset()
    run(torch.compile(timm.layers.freeze_batch_norm_2d(small(None)), fullgraph=True, backend="eager"))
    model = small("eca")
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    run(compiled)
    timm.layers.freeze_batch_norm_2d(model)
    with pytest.raises(Exception, match=r"attention at 'layer1\.0\.bn2' is gone"):
        run(compiled)


def test_compiled_training_step_has_the_gradients_of_the_attention():
    torch._dynamo.reset()
    torch.compile(small(None), fullgraph=True, backend="aot_eager")(torch.rand(2, 3, 32, 32)).sum().backward()
    model = small("eca").train()
    torch.compile(model, fullgraph=True, backend="aot_eager")(torch.rand(2, 3, 32, 32)).sum().backward()
    assert all(
        parameter.grad is not None for parameter in attached(model)["layer1.0.bn2.attention"].parameters()
    )


def test_network_compiled_in_place_is_saved(tmp_path):
    torch._dynamo.reset()
    plain, model = small(None), small("eca")
    plain.compile(backend="eager")
    run(plain)
    model.compile(backend="eager")
    expected = run(model)
    foveate.save(model, tmp_path / "model.safetensors", backbone_args={"zero_init_last": False})
    assert torch.equal(run(foveate.load(tmp_path / "model.safetensors")), expected)


def test_modules_of_one_kind_share_a_class_whatever_the_order_of_attaching():
    one = foveate.attach(foveate.attach(NETWORKS["resnet"](), "se", where="block"), "eca", where="stage")
    other = foveate.attach(foveate.attach(NETWORKS["resnet"](), "eca", where="stage"), "se", where="block")
    kinds = [list(map(type, model.modules())) for model in (one, other)]
    assert kinds[0] == kinds[1]
    kind = type(one.layer1[0].bn2)
    assert kind.__name__ == "BatchNorm2dWithAttention"
    assert kind.__mro__[1] is nn.BatchNorm2d


def test_unpickled_module_of_a_class_of_its_own_pickles_again():
    model = small("eca")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model, protocol)), protocol))
        assert list(map(type, again.modules())) == list(map(type, model.modules()))
        assert torch.equal(run(again), run(model))


class FusedLater(nn.Module):
    """A block that is fused as those of YOLO are: another method becomes its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def forward_fused(self, x: Tensor) -> Tensor:
        return self.conv(x)


@pytest.mark.parametrize("path", ["norm", ""])
def test_block_whose_forward_is_replaced_says_that_its_attention_would_be_gone(path):
    model = foveate.attach(FusedLater(), "eca", at=[path])
    with pytest.raises(RequestError, match=f"would become forward_fused, .*the attention at {path}"):
        model.forward = model.forward_fused
    model.forward = model.forward  # what wraps the forward, as accelerate does, may
    foveate.detach(model)
    model.forward = model.forward_fused
    with pytest.raises(RequestError, match="'' .FusedLater. has a forward that was set on the module itself"):
        foveate.attach(model, "eca", at=[""])


def test_wrapped_module_keeps_its_attention():
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    model = small("eca")
    expected = run(model)
    model.layer1[0].bn2 = checkpoint_wrapper(model.layer1[0].bn2)
    assert torch.equal(run(model), expected)


def test_module_that_got_another_class_on_top_is_not_detached_by_halves():
    model = small("eca")
    expected = run(model)
    nn.utils.parametrize.register_parametrization(model.layer3[0].bn2, "weight", nn.Identity())
    with pytest.raises(RequestError, match=r"class of 'layer3\.0\.bn2' was changed to Parametrized"):
        foveate.detach(model)
    assert torch.equal(run(model), expected)
    nn.utils.parametrize.remove_parametrizations(model.layer3[0].bn2, "weight")
    assert torch.equal(run(foveate.detach(model)), run(small(None)))


def test_module_written_by_torch_fx_is_refused():
    model = nn.Sequential(torch.fx.symbolic_trace(FusedLater()), nn.ReLU())
    with pytest.raises(RequestError, match="whose forward torch.fx writes anew"):
        foveate.attach(model, "eca", at=["0"])


def test_counters_of_operations_count_the_attention():
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for mechanism in (None, "gam"):
        with FlopCounterMode(display=False) as counter:
            run(small(mechanism))
        counts.append(counter.get_total_flops())
    assert counts[1] > counts[0]


def test_thop_counts_the_attention():
    thop = pytest.importorskip("thop")
    counts = [
        thop.profile(small(one), (torch.rand(1, 3, 32, 32),), verbose=False)[0] for one in (None, "gam")
    ]
    assert counts[1] > counts[0]


def test_fvcore_counts_the_attention():
    fvcore = pytest.importorskip("fvcore.nn")
    counts = [fvcore.FlopCountAnalysis(small(one), torch.rand(1, 3, 32, 32)).total() for one in (None, "gam")]
    assert counts[1] > counts[0]


def test_parallel_training_has_the_gradients_of_the_attention(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = small("eca").train()
        parallel = nn.parallel.DistributedDataParallel(model)
        x = torch.rand(2, 3, 32, 32)
        assert torch.equal(parallel(x), small("eca").train()(x))
        parallel(x).sum().backward()
        gates = [parameter.grad for module in attached(model).values() for parameter in module.parameters()]
        assert all(gate is not None and gate.any() for gate in gates)
    finally:
        torch.distributed.destroy_process_group()


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
