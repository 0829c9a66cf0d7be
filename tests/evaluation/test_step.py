import torch
from torch import nn

from foveate.evaluation.step import inference_step, training_step


def test_an_inference_keeps_no_graph():
    network = nn.Linear(3, 2)
    assert inference_step(network, torch.zeros(1, 3))().is_inference()


def test_a_training_step_learns_and_starts_from_no_gradients():
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    images, labels = torch.randn(8, 3), torch.arange(8) % 2
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    step = training_step(network, images, labels, optimizer)
    step()
    once = network.weight.grad.clone()
    step()
    assert torch.equal(network.weight.grad, once)
    optimizer.param_groups[0]["lr"] = 0.5
    loss = nn.functional.cross_entropy
    before = loss(network(images), labels)
    for _ in range(20):
        step()
    assert loss(network(images), labels) < before
