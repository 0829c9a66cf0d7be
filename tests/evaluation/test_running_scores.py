import pytest
import torch

from foveate.evaluation.classification import classification_scores
from foveate.evaluation.running_scores import PartScores, RunningScores


@pytest.mark.parametrize("classes", [2, 7])
def test_batches_score_as_all_together(classes):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(200, classes, generator=generator)
    labels = torch.randint(classes, (200,), generator=generator)
    scores = RunningScores()
    for some, answers in zip(logits.split(64), labels.split(64), strict=True):
        scores.add(some, answers)
    whole = classification_scores(logits, labels, [str(k) for k in range(classes)])
    found = scores.values()
    assert found.images == 200
    assert (found.accuracy, found.loss, found.ece) == pytest.approx((whole.accuracy, whole.loss, whole.ece))


def test_no_images_have_no_scores():
    assert RunningScores().values() == PartScores(accuracy=None, loss=None, ece=None, images=0)
