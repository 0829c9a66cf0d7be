import torch
from torch import nn

from foveate.evaluation.memory import count_held_bytes, measure_step_peak

CPU = torch.device("cpu")


def test_peak_is_what_is_allocated_at_a_time_and_the_same_at_every_call():
    x = torch.zeros(1000)

    def chain():  # at most two of 4000 bytes live at a time, beside x, which was there before
        return x.sigmoid().sigmoid().sigmoid()

    def together():
        return [x.sigmoid(), x.sigmoid(), x.sigmoid()]

    assert [measure_step_peak(chain, CPU) for _ in range(3)] == [8000] * 3
    assert measure_step_peak(together, CPU) == 12000
    assert measure_step_peak(lambda: x.relu_(), CPU) == 0


def test_held_are_weights_buffers_images_and_momentum_each_once():
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4))
    network.append(network[0])  # shared
    images = torch.zeros(2, 4)
    weights, buffers = 4 * (16 + 4 + 4), 4 * (4 + 4) + 8
    assert count_held_bytes(network, images) == weights + buffers + 32
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(images).sum().backward()
    optimizer.step()
    assert count_held_bytes(network, images, optimizer) == 2 * weights + buffers + 32
