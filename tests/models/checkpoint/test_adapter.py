"""Adapters: files of what was added to a network or trained in it, for a base that has the other weights."""

import copy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

import foveate
from foveate.errors import RequestError

X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def base(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return timm.create_model("resnet18", num_classes=classes, zero_init_last=False)


def trained(*, frozen: bool = True, steps: int = 3) -> nn.Module:
    """A base with attention, trained for some steps; its batch norms move as well."""
    model = foveate.attach(base(), "eca", identity_init=True)
    if frozen:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("attention" in name or name.startswith("fc."))
    optimizer = torch.optim.SGD(
        [one for one in model.parameters() if one.requires_grad], lr=0.01 if frozen else 1e-3
    )
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        model(X).square().mean().backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("given", [None, "module", "file"])
def test_an_adapter_is_small_and_gives_the_network_back(tmp_path: Path, given: str | None) -> None:
    model, path = trained(), tmp_path / "adapter.safetensors"
    options: dict[str, Any] = {}
    if given == "module":
        options["base"] = base()
    elif given == "file":
        foveate.save(base(), tmp_path / "base.safetensors")
        options["base"] = tmp_path / "base.safetensors"
    foveate.save(model, path, only="attention", **options)
    foveate.save(model, tmp_path / "whole.safetensors")
    assert path.stat().st_size < 0.01 * (tmp_path / "whole.safetensors").stat().st_size
    loaded = foveate.load(path, base=base())
    assert torch.equal(loaded(X), model(X))
    assert not loaded.training
    assert len(foveate.attached(loaded)) == 8


def test_a_base_that_learned_is_kept_where_it_differs(tmp_path: Path) -> None:
    model, path = trained(frozen=False), tmp_path / "adapter.safetensors"
    with pytest.raises(RequestError, match="every weight of this ResNet would be in the adapter: freeze"):
        foveate.save(model, path, only="attention")
    before = dict(base().named_parameters())
    with torch.no_grad():  # a part that did not learn
        for name, value in model.named_parameters():
            if name in before and name.startswith("layer2"):
                value.copy_(before[name])
    foveate.save(model, path, only="attention", base=base())
    assert torch.equal(foveate.load(path, base=base())(X), model(X))


def test_another_base_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    foveate.save(trained(), path, only="attention")
    other = base(seed=1).eval()
    expected = other(X)
    with pytest.raises(RequestError, match="is an adapter for resnet18.*other weights"):
        foveate.load(path, base=other)
    assert torch.equal(other(X), expected)
    assert not foveate.attached(other)
    with pytest.raises(RequestError, match="other weights"):
        foveate.load(path, base=base().half())
    with pytest.raises(RequestError, match="has attention already"):
        foveate.load(path, base=foveate.attach(base(), "se"))


def test_a_base_with_another_head_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    foveate.save(trained(), path, only="attention")
    other = base(classes=5)
    other.load_state_dict(
        {key: value for key, value in base().state_dict().items() if "fc" not in key}, False
    )
    with pytest.raises(RequestError, match=r"do not fit \(fc.bias, fc.weight\)"):
        foveate.load(path, base=other)
    assert not foveate.attached(other)


def test_adapters_and_whole_networks_are_told_apart(tmp_path: Path) -> None:
    adapter, whole = tmp_path / "adapter.safetensors", tmp_path / "whole.safetensors"
    foveate.save(trained(), adapter, only="attention")
    foveate.save(trained(), whole)
    for options in ({}, {"model": base()}):
        with pytest.raises(RequestError, match="whose weights it does not hold: pass the network"):
            foveate.load(adapter, **options)
    with pytest.raises(RequestError, match="holds a whole network: leave out base="):
        foveate.load(whole, base=base())
    with pytest.raises(RequestError, match="expected 'attention'"):
        foveate.save(trained(), whole, only="all")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="expected 'attention'"):
        foveate.save(trained(), whole, base=base())
    with pytest.raises(RequestError, match="each has another value in the base that was passed"):
        foveate.save(trained(), whole, only="attention", base=base(seed=1).half())


def test_an_adapter_on_the_hub_says_that_it_needs_its_base(tmp_path: Path) -> None:
    model = trained()
    foveate.save_pretrained(model, tmp_path, only="attention")
    assert "base=ResNet(…)" in (tmp_path / "README.md").read_text()
    assert torch.equal(foveate.from_pretrained(tmp_path, base=base())(X), model(X))


def test_the_network_s_own_attention_may_be_replaced(tmp_path: Path) -> None:
    def mobile() -> nn.Module:
        torch.manual_seed(0)
        return timm.create_model("mobilenetv3_small_050", num_classes=3).requires_grad_(False).eval()

    path = tmp_path / "adapter.safetensors"
    for options in ({}, {"base": mobile()}):
        model = foveate.attach(mobile(), "eca", replace_own=True)
        foveate.save(model, path, only="attention", **options)
        assert torch.equal(foveate.load(path, base=mobile())(X), model(X))


def test_the_precision_of_attention_is_its_own(tmp_path: Path) -> None:
    model = trained().to(torch.bfloat16)
    for module in foveate.attached(model).values():
        module.float()
    path = tmp_path / "adapter.safetensors"
    foveate.save(model, path, only="attention")
    loaded = foveate.load(path, base=base().to(torch.bfloat16))
    kinds = {value.dtype for one in foveate.attached(loaded).values() for value in one.parameters()}
    assert kinds == {torch.float32}


def test_equal_weights_in_another_network_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "adapter.safetensors", base()
    foveate.save(trained(), path, only="attention")
    for block in other.layer2:  # type: ignore[union-attr]
        block.act1 = nn.GELU()
    with pytest.raises(RequestError, match="gives another output than when the adapter was saved"):
        foveate.load(path, base=other)
    assert not foveate.attached(other)


class Scaled(nn.Module):
    def __init__(self, channels: int, scale: float = 1.0) -> None:
        super().__init__()
        self.scale, self.shift = scale, nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x + self.shift


def test_attention_that_was_built_or_changed_by_hand_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    frozen = base().requires_grad_(False)
    widths = (64, 64, 128, 128, 256, 256, 512, 512)
    built = foveate.attach(copy.deepcopy(frozen), [Scaled(width, scale=4.0) for width in widths])
    changed = foveate.attach(copy.deepcopy(frozen), Scaled)
    for module in foveate.attached(changed).values():
        module.scale = 4.0  # type: ignore[assignment]
    for model in (built, changed):
        with pytest.raises(RequestError, match=r"at layer1.0.bn2.attention is not what .*scale=4.0"):
            foveate.save(model, path, only="attention")
    right = foveate.attach(copy.deepcopy(frozen), Scaled, scale=4.0).eval()
    foveate.save(right, path, only="attention")
    assert torch.equal(foveate.load(path, base=base(), attention=Scaled)(X), right(X))


def test_a_base_with_other_modules_is_refused_at_once(tmp_path: Path) -> None:
    model = trained()
    model.fc = nn.Identity()
    with pytest.raises(RequestError, match=r"do not have the same tensors beside the attention .*fc.bias"):
        foveate.save(model, tmp_path / "adapter.safetensors", only="attention", base=base())
