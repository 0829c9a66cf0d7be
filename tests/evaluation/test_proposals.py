"""A detector of two stages is counted and timed with as many proposals as it keeps at most."""

import torch

from foveate.evaluation.cost import count_multiply_adds
from foveate.evaluation.proposals import most_proposals
from foveate.models.dense import create_detector


def test_the_number_of_proposals_is_the_most_and_the_threshold_comes_back():
    torch.manual_seed(0)
    network = create_detector(
        "fasterrcnn", "cifar_resnet8", classes=2, image_size=64, size="small", rpn_post_nms_top_n_test=40
    ).eval()
    taken = []
    network.roi_heads.box_head.register_forward_hook(lambda module, args, given: taken.append(len(given)))
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64))
        with most_proposals(network):
            network(torch.rand(1, 3, 64, 64))
    assert taken[1] == 40 >= taken[0]
    assert network.rpn.nms_thresh == 0.7


def test_multiply_adds_do_not_depend_on_the_weights():
    counts = set()
    for seed in range(2):
        torch.manual_seed(seed)
        network = create_detector("fasterrcnn", "cifar_resnet8", classes=2, image_size=64, size="small")
        counts.add(count_multiply_adds(network, (1, 3, 64, 64)))
    assert len(counts) == 1
