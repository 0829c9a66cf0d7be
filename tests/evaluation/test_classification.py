import math

import pytest
import torch
from torch import nn

from foveate.evaluation.classification import classification_scores, predict


def test_scores_of_a_small_case_worked_by_hand() -> None:
    # Classes a, b; true a a a b, predicted a a b b. Of two classes, softmax([ln 3, 0]) = [3/4, 1/4].
    ln3 = math.log(3)
    logits = torch.tensor([[ln3, 0], [ln3, 0], [0, ln3], [0, ln3]])
    scores = classification_scores(logits, torch.tensor([0, 0, 0, 1]), ["a", "b"])
    assert scores.accuracy == 0.75
    assert scores.loss == pytest.approx(-(3 * math.log(3 / 4) + math.log(1 / 4)) / 4)
    assert scores.precision == pytest.approx((1 + 1 / 2) / 2)
    assert scores.recall == pytest.approx((2 / 3 + 1) / 2)
    assert scores.f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert scores.ece == pytest.approx(0, abs=1e-6)  # confidence 3/4, right 3 times of 4
    assert scores.confusion == ((2, 1), (0, 1))
    assert scores.per_class[0].to_json() == pytest.approx(
        {"class": "a", "accuracy": 2 / 3, "precision": 1.0, "recall": 2 / 3, "f1": 0.8, "support": 3}
    )


def test_a_class_without_images_has_no_scores_and_is_in_no_mean() -> None:
    # Classes a, b, c; true a a b, predicted a c b: nobody can say how c is recognised.
    logits = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [0, 9.0, 0]])
    scores = classification_scores(logits, torch.tensor([0, 0, 1]), ["a", "b", "c"])
    assert scores.per_class[2].to_json() == {
        "class": "c",
        **dict.fromkeys(("accuracy", "precision", "recall", "f1")),
        "support": 0,
    }
    assert scores.accuracy == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx((1 / 2 + 1) / 2)
    assert scores.precision == pytest.approx(1)
    assert scores.f1 == pytest.approx((2 / 3 + 1) / 2)
    assert scores.confusion == ((1, 0, 1), (0, 1, 0), (0, 0, 0))


def test_calibration_error_of_a_network_that_is_too_sure() -> None:
    logits = torch.tensor([[20.0, 0], [20.0, 0]])
    assert classification_scores(logits, torch.tensor([0, 1]), ["a", "b"]).ece == pytest.approx(0.5)


def test_predict_covers_all_batches_in_order_and_in_eval_mode() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(4, 2))
    images = torch.randint(0, 255, (5, 1, 2, 2), dtype=torch.uint8)
    batches = [(images[:3], torch.tensor([0, 1, 0])), (images[3:], torch.tensor([1, 1]))]
    logits, labels = predict(network, batches, lambda x: x.float() / 255, device=torch.device("cpu"))
    assert torch.allclose(logits, network.eval()(images.float() / 255))
    assert labels.tolist() == [0, 1, 0, 1, 1]


def test_predict_under_autocast_gives_float32() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    batch = [(torch.ones(1, 1, 2, 2, dtype=torch.uint8), torch.tensor([0]))]
    logits, _ = predict(
        network, batch, torch.Tensor.float, device=torch.device("cpu"), autocast=torch.bfloat16
    )
    assert logits.dtype == torch.float32
    assert torch.equal(logits, logits.bfloat16().float())
