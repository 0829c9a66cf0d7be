"""What every mechanism promises, whatever its paper: one test each, over all of them.

What is asked of an output has its one definition in foveate.inspection.check, which `foveate check` tries on
fixed inputs; here hypothesis draws them.
"""

import inspect

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call

from foveate import create_attention, list_attention
from foveate.attention import MECHANISMS
from foveate.errors import RequestError
from foveate.inspection.check.independence import independence_fault
from foveate.inspection.check.magnitudes import PATTERNS, finite_fault, large_map
from foveate.inspection.check.maps import map_fault

pytestmark = pytest.mark.parametrize("name", list_attention())

DEVICES = ["cpu", *["cuda"] * torch.cuda.is_available()]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
FORMATS = [torch.contiguous_format, torch.channels_last]

shapes = st.tuples(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9))


@st.composite
def large_maps(draw) -> Tensor:
    """Maps of activations up to 1e4, without structure and with the structures that sums add up on."""
    return large_map(draw(shapes), draw(st.sampled_from(PATTERNS)), draw(st.integers(0, 99)))


@given(
    shape=shapes,
    dtype=st.sampled_from(DTYPES),
    memory_format=st.sampled_from(FORMATS),
    device=st.sampled_from(DEVICES),
    training=st.booleans(),
)
def test_map_keeps_shape_dtype_device_and_memory_format(
    build, name, shape, dtype, memory_format, device, training
):
    module = build(name, shape[1]).to(device, dtype, memory_format=memory_format).train(training)
    x = (100 * torch.randn(shape, dtype=dtype, device=device)).to(memory_format=memory_format)
    assert map_fault(module, x, memory_format=memory_format) == ""


@given(
    x=large_maps(),
    module_dtype=st.sampled_from(DTYPES),
    autocast=st.sampled_from([None, None, torch.bfloat16, torch.float16]),
    cast_before=st.booleans(),
    training=st.booleans(),
)
@pytest.mark.parametrize("device", DEVICES)
def test_large_activations_give_finite_outputs_and_input_gradients(
    build, name, device, x, module_dtype, autocast, cast_before, training
):
    if autocast:
        module_dtype = torch.float32
    module = build(name, x.shape[1]).to(device, module_dtype).train(training)
    x = x.to(device, autocast if autocast and cast_before else module_dtype)
    assert finite_fault(module, x, autocast) == ""


@pytest.mark.parametrize("training", [True, False])
def test_one_value_per_channel_is_enough_and_every_parameter_gets_a_gradient(build, name, training):
    module = build(name).train(training)
    module(torch.randn(1, 8, 1, 1, requires_grad=True)).square().sum().backward()
    gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    assert [key for key, gradient in gradients.items() if not gradient.isfinite().all()] == []


def test_every_parameter_learns(build, name):
    module = build(name)
    x = torch.randn(4, 8, 7, 5, requires_grad=True)
    (module(x) * torch.randn(4, 8, 7, 5)).sum().backward()
    idle = [key for key, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_samples_are_independent_in_eval(build, name):
    module = build(name).double().eval()
    assert independence_fault(module, torch.randn(3, 8, 6, 5, dtype=torch.float64)) == ""


@pytest.mark.parametrize("training", [True, False])
def test_gradients_agree_with_finite_differences(build, name, training):
    module = build(name, channels=4).double().train(training)
    parameters = dict(module.named_parameters())

    def f(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(module, dict(zip(parameters, values, strict=True)), x)

    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(f, (x, *parameters.values()), fast_mode=True)


def test_channels_last_gives_the_same_answer(build, name):
    module, x = build(name), torch.randn(2, 8, 5, 4)
    expected = module(x)
    torch.testing.assert_close(
        build(name).to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)), expected
    )


@pytest.mark.parametrize("channels", [1, 2, 7, 64])
def test_any_number_of_channels_works_or_is_refused_with_the_way_out(name, channels):
    try:
        module = create_attention(name, channels)
    except RequestError as error:
        assert f"pass reduction <= {channels}" in str(error)  # noqa: PT017  the error is one of two good ends
        module = create_attention(name, channels, reduction=channels)
    assert module(torch.randn(1, channels, 3, 1)).shape == (1, channels, 3, 1)


def test_misspelt_option_raises_and_names_the_nearest(name):
    options = list(inspect.signature(MECHANISMS[name].module).parameters)[1:]
    given_, near = (f"{options[0]}x", f" Did you mean '{options[0]}'") if options else ("reduction", "")
    with pytest.raises(TypeError, match=rf"unknown option of {name} '{given_}'\.{near}"):
        create_attention(name, 16, **{given_: 1})


def test_channels_must_be_a_count(name):
    for channels in (0, -4, 2.5, True, "64"):
        with pytest.raises(RequestError, match="channels"):
            create_attention(name, channels)
