"""The maps of a network's attention are caught while it runs, and nothing of the network changes."""

import threading

import pytest
import timm
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

import foveate
from foveate import capture
from foveate.attention.intermediates import intermediate
from foveate.errors import RequestError


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    model = timm.create_model("cifar_resnet8", num_classes=4)
    return foveate.attach(model, "dmsca", reduction=8).eval()


IMAGES = torch.randn(2, 3, 16, 12)


def test_maps_come_by_site_and_name(network):
    with capture(network) as maps:
        network(IMAGES)
    assert list(maps) == list(foveate.attached(network))
    assert maps["layer1.0"]["F_multi"].shape == (2, 1, 16, 12)
    assert maps["layer3.0"]["A_c"].shape == (2, 64, 1, 1)
    assert maps["layer1.0"] is maps["layer1.0.bn2.attention"]
    assert not any(value.requires_grad for found in maps.values() for value in found.values())


def test_the_answer_is_the_networks(network):
    expected = network(IMAGES)
    with capture(network):
        torch.testing.assert_close(network(IMAGES), expected)


def test_the_last_forward_stays(network):
    with capture(network) as maps:
        network(IMAGES)
        first = maps["layer1.0"]["alpha"]
        network(IMAGES[:1])
    assert first.shape[0] == 2
    assert maps["layer1.0"]["alpha"].shape[0] == 1


def state(model: nn.Module) -> list[object]:
    return [
        (
            name,
            module.training,
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            dict(module.__dict__.get("_forward_hooks_always_called", {})),
            module.__dict__.get("path"),
        )
        for name, module in model.named_modules()
    ] + [(p.requires_grad, p.grad) for p in model.parameters()]


def test_the_model_is_as_it_was_also_after_an_exception(network):
    network.layer1.train()
    network.fc.weight.requires_grad = False
    foveate.set_path(network, "reference")
    before = state(network)
    with pytest.raises(KeyError), capture(network):
        network(IMAGES)
        raise KeyError
    assert state(network) == before
    with pytest.raises(RuntimeError), capture(network) as maps:
        network(torch.randn(2, 5, 16, 12))  # a forward that fails
    assert state(network) == before
    with capture(network) as maps:
        network(IMAGES)
    assert len(maps) == 3


def test_a_path_that_was_asked_for_is_left_for_the_equations_within(network):
    foveate.set_path(network, "rearranged")
    with capture(network) as maps:
        network(IMAGES)
        assert {one.path for one in foveate.kernel_paths(network)} == {"reference"}
    assert "A_dir" in maps["layer1.0"]
    assert {one.path for one in foveate.kernel_paths(network)} == {"rearranged"}


def test_gradients_flow_as_without(network):
    def gradient() -> torch.Tensor:
        network.zero_grad()
        network(IMAGES).square().sum().backward()
        return network.conv1.weight.grad.clone()

    foveate.set_path(network, "reference")
    expected = gradient()
    with capture(network):
        torch.testing.assert_close(gradient(), expected)


def test_attention_of_ones_own_network_is_caught():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3)
            self.look = foveate.create_attention("sgfa", 8, reduction=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.look(self.stem(x))

    own = Own()
    with capture(own) as maps:
        own(IMAGES)
    assert {name: set(found) for name, found in maps.items()} == {"look": {"M_s", "M_c", "gate"}}
    alone = foveate.create_attention("eca", 3)
    with capture(alone) as maps:
        alone(IMAGES)
    assert maps[""]["channel"].shape == (2, 3, 1, 1)


def test_behind_a_gate_that_starts_at_identity():
    model = foveate.attach(timm.create_model("cifar_resnet8"), "se", identity_init=True).eval()
    with capture(model) as maps:
        model(IMAGES)
    assert maps["layer2.0"]["channel"].shape == (2, 32, 1, 1)


def test_captures_nest(network):
    with capture(network) as outer:
        network(IMAGES)
        with capture(network) as inner:
            network(IMAGES[:1])
        network(IMAGES)
    assert inner["layer1.0"]["tau"] is not outer["layer1.0"]["tau"]
    assert inner["layer1.0"]["alpha"].shape[0] == 1
    assert outer["layer1.0"]["alpha"].shape[0] == 2


def test_other_threads_neither_are_caught_nor_disturb(network):
    inside, done = threading.Event(), threading.Event()
    other: dict[str, object] = {}

    def run() -> None:
        inside.wait()
        with capture(network) as maps:
            network(IMAGES[:1])
        network(IMAGES[:1])
        other["maps"] = maps
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    with capture(network) as maps:
        network(IMAGES)
        inside.set()
        done.wait()
    thread.join()
    assert maps["layer1.0"]["alpha"].shape[0] == 2
    assert other["maps"]["layer1.0"]["alpha"].shape[0] == 1


def test_a_thread_in_the_middle_of_another_site_does_not_disturb(network):
    first, last = network.layer1[0].bn2.attention, network.layer3[0].bn2.attention
    entered, go_on = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: last(torch.randn(1, 64, 2, 2)))

    def start(module: nn.Module, args: object) -> None:
        thread.start()
        entered.wait(10)

    def pause(module: nn.Module, args: object) -> None:
        entered.set()
        go_on.wait(10)

    hooks = [first.dii.register_forward_pre_hook(start), last.dff.register_forward_pre_hook(pause)]
    foveate.set_path(network, "reference")
    with capture(network) as maps:
        first(torch.randn(2, 16, 4, 4))
        go_on.set()
        thread.join()
    for hook in hooks:
        hook.remove()
    assert list(maps) == ["layer1.0.bn2.attention"]
    assert {"tau", "A_dir", "alpha"} <= set(maps["layer1.0"])


def test_a_site_that_failed_is_left(network):
    def fail(module: nn.Module, args: object) -> None:
        raise KeyError

    hook = network.layer2[0].bn2.attention.dii.register_forward_pre_hook(fail)
    with capture(network) as maps:
        with pytest.raises(KeyError):
            network(IMAGES)
        intermediate("stray", 1)
    hook.remove()
    assert not any("stray" in found for found in maps.values())


def test_what_is_compiled_runs_uncompiled_within():
    torch._dynamo.reset()
    compiled = torch.compile(nn.Sequential(foveate.create_attention("eca", 3)), backend="aot_eager")
    expected = compiled(IMAGES)
    with capture(compiled) as maps:
        torch.testing.assert_close(compiled(IMAGES), expected)
    assert maps["0"]["channel"].shape == (2, 3, 1, 1)
    torch.testing.assert_close(compiled(IMAGES), expected)


def test_blocks_that_overlap_in_two_threads_leave_compiling_as_it_was():
    """A in, B in, A out, B out: what was compiled runs uncompiled until the last is out, and no longer."""
    torch._dynamo.reset()
    counter = CompileCounter()
    compiled = torch.compile(lambda x: x + 1, backend=counter)
    model = foveate.create_attention("eca", 3)
    inside, left = threading.Event(), threading.Event()

    def other() -> None:
        with capture(model):
            inside.set()
            left.wait(10)

    thread = threading.Thread(target=other)
    with capture(model):
        thread.start()
        assert inside.wait(10)
    compiled(IMAGES)
    assert counter.frame_count == 0
    left.set()
    thread.join()
    compiled(IMAGES)
    assert counter.frame_count == 1


def test_short_paths_are_looked_up_as_whole_ones(network):
    with capture(network) as maps:
        network(IMAGES)
    assert "layer1.0" in maps
    assert maps.get("layer1.0") is maps["layer1.0.bn2.attention"]
    assert "layer" not in maps
    assert "" not in maps  # stands for three
    assert maps.get("layer1.1") is None
    assert maps.get("layer1.1", {}) == {}
    assert 3 not in maps


def test_a_network_without_attention_is_refused_with_the_way():
    with pytest.raises(RequestError, match=r"has no attention.*foveate.attach"), capture(nn.Conv2d(3, 3, 1)):
        pass
    with pytest.raises(RequestError, match="a model is an nn.Module, got str"), capture("resnet18"):
        pass


def test_a_path_that_is_none_is_refused_with_the_nearest(network):
    with capture(network) as maps:
        with pytest.raises(RequestError, match="run the network within"):
            maps["layer1.0"]
        network(IMAGES)
    with pytest.raises(RequestError, match=r"Did you mean 'layer1.0.bn2.attention'"):
        maps["layer1.0.bn1.attention"]
    with pytest.raises(RequestError, match=r"layer1.0.bn2.attention, layer2.0.bn2.attention"):
        maps[""]
    assert "layer9" not in maps
