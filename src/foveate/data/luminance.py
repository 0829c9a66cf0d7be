"""The luminance of colour images by ITU-R BT.601: the one definition of grey from red, green and blue."""

import torch
from torch import Tensor

__all__ = ["luminance"]

WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue."""


def luminance(images: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W) of images (B, 3, H, W); grey images (B, 1, H, W) are returned as is.

    Images in uint8 are rounded exactly as Pillow's `convert("L")` does it, in 65,536ths.
    """
    if images.shape[1] == 1:
        return images
    if images.dtype != torch.uint8:
        return (images * images.new_tensor(WEIGHTS).view(3, 1, 1)).sum(dim=1, keepdim=True)
    weights = torch.tensor([round(2**16 * weight) for weight in WEIGHTS], dtype=torch.int32)
    weights = weights.to(images.device).view(3, 1, 1)
    grey = [
        ((chunk * weights).sum(1, keepdim=True, dtype=torch.int32) + 2**15 >> 16).to(torch.uint8)
        for chunk in images.split(1024)  # four times as large in int32
    ]
    return torch.cat(grey)
