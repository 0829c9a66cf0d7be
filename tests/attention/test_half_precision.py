"""Half precision is not only finite: where it could overflow, it still gives the full precision's answer."""

import pytest
import torch
from torch import nn

from foveate import create_attention

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_softmaxes_of_double_attention_sum_to_one(dtype, scale):
    module = create_attention("a2", 8).to(dtype)
    nn.init.zeros_(module.phi.weight)
    nn.init.ones_(module.phi.bias)
    seen = []
    module.expand.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(scale * torch.randn(2, 8, 40, 30, dtype=dtype))
    # With A = 1, G holds the sums of B over the positions, and Z the sums of V over the features.
    torch.testing.assert_close(seen[0].float(), torch.ones(2, 4, 40, 30), atol=0.02, rtol=0)


@pytest.mark.parametrize("dtype", HALVES)
def test_simam_gates_half_precision_as_it_gates_float32(dtype):
    module, x = create_attention("simam", 4), (5e3 * torch.randn(2, 4, 9, 7)).to(dtype)
    expected = module(x.float())
    torch.testing.assert_close(module(x), expected.to(dtype))
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(module(x.float()), expected)
