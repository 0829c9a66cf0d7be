"""What a network answers for the images of a fold, and a test of two networks on the same images."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveate.errors import RequestError
from foveate.evaluation.classification import predict
from foveate.evaluation.intervals import share_interval
from foveate.evaluation.within_margin import difference_over_images
from foveate.inspection.images import ChosenImages
from foveate.inspection.trained import Trained
from foveate.records.fold import FoldTest

__all__ = ["Answers", "paired_test_part"]


@dataclass(frozen=True)
class Answers:
    """Runs networks on images that are prepared as `trained` takes them."""

    trained: Trained
    device: torch.device
    batch_size: int

    def prepared(self, images: ChosenImages) -> Iterator[Tensor]:
        """Give the images in batches (B, C, S, S), as the network takes them."""
        for rows in images.batches(self.batch_size):
            yield self.trained.normalise(images.read(rows)[0].to(self.device))

    def logits(self, network: nn.Module, images: ChosenImages) -> tuple[Tensor, Tensor]:
        """Return logits (N, classes) and labels (N,) of the images.

        Raises:
            RequestError: a logit is not finite.
        """
        batches = map(images.read, images.batches(self.batch_size))
        logits, labels = predict(network, batches, self.trained.normalise, device=self.device)
        if not logits.isfinite().all():
            raise RequestError(f"the answers of {self.trained.name} are not finite: it cannot be folded")
        return logits, labels

    def right(self, network: nn.Module, images: ChosenImages) -> Tensor:
        """Return which of the images are answered right, bool (N,)."""
        logits, labels = self.logits(network, images)
        return logits.argmax(dim=1) == labels

    def accuracy(self, network: nn.Module, images: ChosenImages) -> float:
        """Return the share of the images that are answered right."""
        return self.right(network, images).double().mean().item()


def paired_test_part(before: Tensor, after: Tensor) -> FoldTest:
    """Return the test of two networks by which of the same images each has right, bool (N,)."""
    images, lost, gained = len(before), int((before & ~after).sum()), int((~before & after).sum())
    right_before, right_after = int(before.sum()), int(after.sum())
    return FoldTest(
        images=images,
        before=right_before / images,
        before_ci95=share_interval(right_before, images),
        after=right_after / images,
        after_ci95=share_interval(right_after, images),
        lost=lost,
        gained=gained,
        difference=(gained - lost) / images,
        difference_ci95=difference_over_images(lost, gained, images),
    )
