"""Augment images with boxes or masks on the training device, image by image, each with its own numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from foveate.data.augmentation_names import DENSE_AUGMENTATIONS, check_dense_augmentations
from foveate.data.dense.augment_boxes import BoxSteps
from foveate.data.dense.augment_masks import MaskSteps
from foveate.data.dense.targets import BoxTargets

__all__ = ["DenseAugmentation", "pad_to"]


class DenseAugmentation(nn.Module):
    """Converts uint8 images of any size and their boxes or masks to what networks take, augmented or not.

    Images with masks become normalised crops of `image_size`, images with boxes become floats in 0..1 of any
    size, which detectors normalise and resize themselves. The steps, of torchvision's transforms.v2, are
    applied in the order of `DENSE_AUGMENTATIONS`, whatever the order of `names`. The module moves with
    `.to(device)` and adds nothing to a state dict.

    Args:
        names: of `DENSE_AUGMENTATIONS[kind]`.
        mean: of each channel, in 0..1; not used for boxes.
        std: of each channel, in 0..1; not used for boxes.
        image_size: S, side of the training crop of images with masks, in pixels; not used for boxes.
        kind: what the targets are.

    Raises:
        RequestError: an unknown name.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        names: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        *,
        image_size: int,
        kind: Literal["boxes", "masks"],
    ) -> None:
        super().__init__()
        check_dense_augmentations(kind, names)
        self.names = tuple(name for name in DENSE_AUGMENTATIONS[kind] if name in names)
        self.image_size, self.kind = image_size, kind
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.of_boxes = BoxSteps(self.names)
        self.of_masks = MaskSteps(self.names, image_size)

    @overload
    def augmented(
        self, images: Sequence[Tensor], targets: Sequence[BoxTargets], generator: Generator
    ) -> tuple[list[Tensor], list[BoxTargets]]: ...

    @overload
    def augmented(
        self, images: Sequence[Tensor], targets: Sequence[Tensor], generator: Generator
    ) -> tuple[Tensor, Tensor]: ...

    def augmented(
        self,
        images: Sequence[Tensor],
        targets: Sequence[BoxTargets] | Sequence[Tensor],
        generator: Generator,
    ) -> tuple[list[Tensor], list[BoxTargets]] | tuple[Tensor, Tensor]:
        """Augment for training. The result depends on the state of `generator` alone.

        Args:
            images: uint8 (C, H, W) each, all on one device.
            targets: the boxes or the mask, uint8 (H, W), of each.
            generator: one number is drawn from it for each image. The global generator of the CPU, from which
                torchvision draws, is seeded with it for the image and then restored.

        Returns:
            for masks a batch, float (B, C, S, S), and labels, int64 (B, S, S); for boxes floats in 0..1,
            (C, H, W) each, and their targets.
        """
        drawn = torch.randint(2**63 - 1, (len(images),), generator=generator, device=generator.device)
        of_boxes: list[tuple[Tensor, BoxTargets]] = []
        of_masks: list[tuple[Tensor, Tensor]] = []
        for image, target, seed in zip(images, targets, drawn.tolist(), strict=True):
            with _drawing_from(seed):
                if isinstance(target, BoxTargets):
                    of_boxes.append(self.of_boxes(image, target))
                else:
                    of_masks.append(self.of_masks(image, target, self.mean, self.std))
        if of_masks:
            return torch.stack([one for one, _ in of_masks]), torch.stack([mask for _, mask in of_masks])
        return [one for one, _ in of_boxes], [target for _, target in of_boxes]

    @overload
    def plain(
        self, images: Sequence[Tensor], targets: Sequence[BoxTargets]
    ) -> tuple[list[Tensor], list[BoxTargets]]: ...

    @overload
    def plain(
        self, images: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]: ...

    def plain(
        self, images: Sequence[Tensor], targets: Sequence[BoxTargets] | Sequence[Tensor]
    ) -> tuple[list[Tensor], list[BoxTargets]] | tuple[list[Tensor], list[Tensor]]:
        """Convert whole images for evaluation, without any randomness.

        Returns:
            float images (C, H, W), in 0..1 for boxes and normalised for masks, and their targets; masks
            become int64.
        """
        floats = [image.float() / 255 for image in images]
        boxes = [target for target in targets if isinstance(target, BoxTargets)]
        masks = [target.long() for target in targets if not isinstance(target, BoxTargets)]
        if self.kind == "boxes":
            return floats, boxes
        return [(image - self.mean) / self.std for image in floats], masks


def pad_to(images: Sequence[Tensor], multiple: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """Pad images with zeros, right and below, to one size whose sides are multiples of `multiple`.

    Zero is the mean colour of normalised images.

    Args:
        images: (C, H, W) each, of any sizes.
        multiple: such as the largest stride of a network, in pixels.

    Returns:
        the batch (B, C, H', W') and the height and width of each image in it.
    """
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*sizes, strict=True))
    padded = [
        F.pad(image, (0, width - own_width, 0, height - own_height))
        for image, (own_height, own_width) in zip(images, sizes, strict=True)
    ]
    return torch.stack(padded), sizes


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let the global generator of the CPU give the numbers of `seed` within the block, and restore it."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs, too
        yield
