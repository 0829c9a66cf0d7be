import pytest
import torch
from torch import nn

from foveate.attention import create_attention
from foveate.evaluation.cost import count_multiply_adds
from foveate.evaluation.element_wise import Work, count_work


def work_of(function, *shapes: tuple[int, ...], device: str = "meta") -> Work:
    tensors = [torch.zeros(shape, device=device) for shape in shapes]
    with torch.no_grad():
        return count_work(lambda: function(*tensors))


@pytest.mark.parametrize(
    ("function", "shapes", "operations", "elements_moved"),
    [
        (torch.exp, [(2, 3)], 6, 12),
        (torch.add, [(2, 3), (2, 3)], 6, 18),
        (lambda x: x * x, [(2, 3)], 6, 12),  # x is read once
        (torch.add, [(2, 3), (3,)], 6, 15),
        (lambda x, y: x * y.expand(2, 3), [(2, 3), (2, 1)], 6, 14),  # y has 2 elements in memory
        (lambda x, y: x * y[:, :1].expand(2, 3), [(2, 3), (2, 5)], 6, 14),  # a slice is read as such
        (lambda x: x.sum(dim=1), [(2, 3)], 6, 8),
        (lambda x: x.mean(dim=(0, 1)), [(2, 3)], 6, 7),
        (lambda x: x.relu_(), [(2, 3)], 6, 12),
        (lambda x, y: x.add_(y), [(2, 3), (2, 3)], 6, 18),
        (lambda x, y: torch.exp(x, out=y), [(2, 3), (2, 3)], 6, 12),  # y is written only
        (lambda x: x.softmax(dim=1), [(2, 3)], 6, 12),  # one operator of torch counts once
        (lambda x: torch.cat([x, x[:, :1]], dim=1), [(2, 3)], 0, 16),  # copies reckon nothing
        (lambda x, y: x.copy_(y), [(2, 3), (2, 3)], 0, 12),
        (lambda x: x.clone(), [(2, 3)], 0, 12),
        (lambda x: x.zero_(), [(2, 3)], 0, 6),
        (lambda x: x.view(3, 2).transpose(0, 1)[1:].unsqueeze(0), [(2, 3)], 0, 0),  # views move nothing
        (lambda x: torch.empty_like(x), [(2, 3)], 0, 0),
    ],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_operators_by_hand(function, shapes, operations, elements_moved, device):
    assert work_of(function, *shapes, device=device) == Work(0, operations, 4 * elements_moved)


def test_convolutions_and_products_move_bytes_and_are_no_element_wise_work():
    conv = nn.Conv2d(2, 3, 3, padding=1, device="meta")
    assert work_of(conv, (1, 2, 4, 4)) == Work(16 * 3 * 18, 0, 4 * (32 + 54 + 3 + 48))
    assert work_of(torch.mm, (2, 3), (3, 5)) == Work(30, 0, 4 * (6 + 15 + 10))


def test_se_by_hand():
    # C = 4, r = 2, 3×3. Mean: 36 read, 4 written. 1×1s: 4 + 8 weights + 2 biases -> 2; 2 + 8 + 4 -> 4.
    # ReLU: 2 -> 2. Sigmoid: 4 -> 4. Product: 36 + 4 -> 36.
    se = create_attention("se", 4, reduction=2).to("meta")
    moved = (36 + 4) + (4 + 8 + 2 + 2) + (2 + 2) + (2 + 8 + 4 + 4) + (4 + 4) + (36 + 4 + 36)
    assert work_of(se, (1, 4, 3, 3)) == Work(8 + 8, 36 + 2 + 4 + 36, 4 * moved)


def test_simam_is_not_zero_but_what_its_equation_says():
    # On 18 elements of 2 channels: mean, minus, square, mean, divided by, + ½, sigmoid and times; on one
    # element a channel: + λ and 4 times.
    simam = create_attention("simam", 2).to("meta")
    work = work_of(simam, (1, 2, 3, 3))
    assert work.multiply_adds == 0
    assert work.element_wise == 8 * 18 + 2 * 2
    whole, small = 18, 2
    moved = 2 * (whole + small) + (whole + small + whole) * 2 + 3 * (whole + whole) + 2 * (small + small)
    assert work.bytes_moved == 4 * (moved + (whole + whole + whole))


def test_half_precision_moves_half():
    def double(x):
        return x * 2

    with torch.no_grad():
        half = count_work(lambda: double(torch.empty(6, device="meta", dtype=torch.bfloat16)))
    assert half == Work(0, 6, 24)


@pytest.mark.parametrize("training", [False, True])
def test_a_network_counts_the_same_on_meta_and_where_it_runs(training):
    network = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10))
    ).train(training)
    shape = (2, 3, 4, 4)
    counted = work_of(network, shape, device="cpu")
    assert counted.multiply_adds == count_multiply_adds(network, shape)
    assert counted.element_wise == 2 * 2 * 8 * 16 + training  # norm and ReLU; a norm counts its batches
    assert work_of(network.to("meta"), shape) == counted


def test_a_training_step_is_counted_with_its_backward_pass():
    layer = nn.Linear(3, 5, bias=False, device="meta")
    x = torch.zeros(2, 3, device="meta")

    def step():
        layer(x).sum().backward()

    # Forward 2·3·5; backward the weights' gradient alone, for x needs none.
    assert count_work(step).multiply_adds == 30 + 30
