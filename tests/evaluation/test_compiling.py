import pytest
import torch
from torch import nn

from foveate.evaluation.compiling import compile_whole, room_for, time_first_call
from foveate.evaluation.step import inference_step


class Broken(nn.Module):
    def forward(self, x):
        return x + 1 if x.sum() > 0 else x


# Inductor, which calls a C++ compiler, is trained with in tests/training/test_fit.py.
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.full)])
def test_compiled_whole_or_not_at_all(backend):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU()).eval()
    x = torch.randn(4, 3)
    before = torch._dynamo.config.recompile_limit
    with room_for(before):
        assert torch._dynamo.config.recompile_limit == 4 * before
        compiled = compile_whole(network, backend)
        assert time_first_call(inference_step(compiled, x)) > 0
        torch.testing.assert_close(inference_step(compiled, x)(), inference_step(network, x)())
        with pytest.raises(Exception, match=r"(?i)data.dependent|dynamic control flow"):
            compile_whole(Broken(), backend)(x)
    assert torch._dynamo.config.recompile_limit == before
