"""What every mechanism promises, whatever its paper: one test each, over all of them."""

import copy
import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call

from foveate import create_attention, list_attention
from foveate.attention import MECHANISMS

pytestmark = pytest.mark.parametrize("name", list_attention())

shapes = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9))
quick = settings(deadline=None, max_examples=15, database=None)


def build(name: str, channels: int = 8, seed: int = 0) -> nn.Module:
    """Build the mechanism with a bottleneck that suits few channels."""
    torch.manual_seed(seed)
    options = inspect.signature(MECHANISMS[name].module).parameters
    return create_attention(
        name, channels, **({"reduction": min(channels, 4)} if "reduction" in options else {})
    )


@quick
@given(
    shape=shapes,
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    training=st.booleans(),
)
def test_map_keeps_shape_dtype_and_memory_format_and_stays_finite(
    name, shape, dtype, memory_format, training
):
    module = build(name, shape[1]).to(dtype=dtype, memory_format=memory_format).train(training)
    x = (100 * torch.randn(shape, dtype=dtype)).to(memory_format=memory_format)
    y = module(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    assert y.is_contiguous(memory_format=memory_format)
    assert y.isfinite().all()


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_keeps_the_dtype(name, dtype, device):
    x = torch.randn(2, 8, 5, 4, dtype=dtype, device=device)
    with torch.autocast(device, torch.bfloat16):
        y = build(name).to(device)(x)
    assert y.dtype == dtype
    assert y.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_one_value_per_channel_is_enough_and_every_parameter_gets_a_gradient(name, training):
    module = build(name).train(training)
    module(torch.randn(1, 8, 1, 1)).square().sum().backward()
    assert [key for key, parameter in module.named_parameters() if parameter.grad is None] == []


def test_every_parameter_learns(name):
    module = build(name)
    (module(torch.randn(4, 8, 7, 5)) * torch.randn(4, 8, 7, 5)).sum().backward()
    idle = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_samples_are_independent_in_eval(name):
    module = build(name).double().eval()
    x = torch.randn(3, 8, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(module(x)[1:2], module(x[1:2]))


@pytest.mark.parametrize("training", [True, False])
def test_gradients_agree_with_finite_differences(name, training):
    module = build(name, channels=4).double().train(training)
    names, parameters = zip(*module.named_parameters(), strict=True)

    def f(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, values, strict=True)), x)

    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(f, (x, *parameters), fast_mode=True)


def test_compiled_whole_gives_the_eager_answer(name):
    module, x = build(name), torch.randn(2, 8, 5, 4)
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), module(x))


def test_copy_and_state_dict_carry_everything(name):
    module, x = build(name), torch.randn(2, 8, 5, 4)
    module(x)  # moves the running statistics
    reloaded = build(name, seed=1)
    reloaded.load_state_dict(module.state_dict())
    expected = module.eval()(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(reloaded.eval()(x), expected)


def test_misspelt_option_raises_and_names_the_nearest(name):
    option = list(inspect.signature(MECHANISMS[name].module).parameters)[1]
    with pytest.raises(TypeError, match=rf"unknown option of {name} '{option}x'. Did you mean '{option}'"):
        create_attention(name, 16, **{f"{option}x": 1})


@pytest.mark.parametrize("channels", [0, -4, 2.5])
def test_channels_must_be_a_count(name, channels):
    with pytest.raises(ValueError, match="channels must be a whole number of at least 1"):
        create_attention(name, channels)
