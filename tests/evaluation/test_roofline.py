import torch

from foveate.evaluation import roofline
from foveate.evaluation.roofline import measure_bounds


def test_bounds_are_the_best_of_several_times(monkeypatch):
    monkeypatch.setitem(roofline.MATRIX_SIDE, "cpu", 16)
    monkeypatch.setitem(roofline.ARRAY_BYTES, "cpu", 4000)
    times = iter([9.0, 2.0, 9.0, 9.0, 9.0, 9.0, 9.0, 8.0, 8.0, 4.0, 8.0, 8.0, 8.0, 8.0])

    def milliseconds(step, device):
        step()
        return next(times)

    monkeypatch.setattr(roofline, "milliseconds", milliseconds)
    bounds = measure_bounds(torch.device("cpu"), torch.float32)
    assert bounds.flops == 2 * 16**3 / 2e-3
    assert bounds.bandwidth == 3 * 4000 / 4e-3


def test_bounds_of_this_machine_in_half_precision(monkeypatch):
    monkeypatch.setitem(roofline.MATRIX_SIDE, "cpu", 64)
    monkeypatch.setitem(roofline.ARRAY_BYTES, "cpu", 2**20)
    bounds = measure_bounds(torch.device("cpu"), torch.bfloat16)
    assert bounds.flops > 0
    assert bounds.bandwidth > 0
