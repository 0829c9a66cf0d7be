"""What several files of kernel tests share: a number of threads, and memory that nothing was written to."""

import pytest
import torch


@pytest.fixture
def team(request):
    """So many threads as the test is parametrized with."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def poisoned():
    """New memory, which the kernels ask for, is full of NaN."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before)
