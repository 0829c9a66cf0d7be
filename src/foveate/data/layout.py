"""The common layout of a set's images: channels, canvas, crop and padding, found from their headers."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from foveate.data.greys import FEWEST_LEVELS, SIXTEEN_BITS, GreyRange, GreyValues, find_range, levels_left
from foveate.data.images import Header
from foveate.data.parts import Part
from foveate.data.source import SMALLEST_IMAGE
from foveate.errors import RequestError

__all__ = ["Layout", "check_sizes", "describe_kinds", "find_layout"]

LARGEST_NATIVE = 224
"""Images of one size keep it up to this side in pixels, whatever size a backbone was made for."""


@dataclass(frozen=True)
class Layout:
    """The size and channels that every image of a set is converted to.

    Attributes:
        channels: 3 if any image has colour, else 1.
        image_size: side of the square that a network sees, in pixels.
        canvas: side of the square that an image is decoded to; crops of `image_size` are cut from it.
        padding: zeros put around the canvas, on each side, before a random crop.
        upscale: whether images with a short side below `image_size` are enlarged rather than refused.
        greys: the values of greys of more than 8 bits that become 0 and 255, the same for every image; None
            if no image has such greys.
    """

    channels: int
    image_size: int
    canvas: int
    padding: int
    upscale: bool
    greys: GreyRange | None = field(default=None, repr=False)

    @property
    def own_greys(self) -> tuple[GreyRange, ...]:
        """The range of greys unless it is 16 bits; it is part of what identifies the pixels."""
        return () if self.greys in (None, SIXTEEN_BITS) else (self.greys,)

    @property
    def image_bytes(self) -> int:
        """Bytes of one decoded image."""
        return self.channels * self.canvas**2


def find_layout(
    headers: Sequence[Header],
    image_size: int | None,
    default_size: int,
    upscale: bool,
    greys: GreyRange | None = None,
) -> Layout:
    """Find the layout from headers; `image_size` and `greys` override what is found.

    Images of one size keep it, up to `LARGEST_NATIVE` or a larger `default_size`; images of several sizes get
    `default_size`, or if they are smaller, the median short side in steps of 32.
    """
    sizes = {header.size for header in headers}
    median = int(statistics.median(header.short_side for header in headers))
    if image_size is None:
        if len(sizes) == 1:
            image_size = min(median, max(default_size, LARGEST_NATIVE))
        else:
            image_size = default_size if median >= default_size else max(median // 32 * 32, 32)
    channels = 1 if all(header.grey for header in headers) else 3
    found = find_range(_wide_values(headers))
    greys = greys if greys and found else found
    if len(sizes) == 1 and median == image_size:
        return Layout(channels, image_size, image_size, image_size // 8, upscale, greys)
    # 224 of 256: the evaluation crop of the ImageNet recipes (Krizhevsky et al. 2012), kept at other sizes.
    return Layout(channels, image_size, round(image_size * 256 / 224), 0, upscale, greys)


def _wide_values(headers: Sequence[Header]) -> list[GreyValues]:
    return [header.greys for header in headers if header.wide and header.greys is not None]


def check_sizes(headers: Sequence[Header], rows: Sequence[tuple[Part, int]], layout: Layout) -> None:
    """Raise RequestError if an image is smaller than the crop and must not be enlarged."""
    small = [i for i, header in enumerate(headers) if header.short_side < layout.image_size]
    if not small or layout.upscale:
        return
    smallest = min(small, key=lambda i: (headers[i].short_side, headers[i].size))
    header, (part, index) = headers[smallest], rows[smallest]
    crop = f"--image-size {header.short_side} or less, or " * (header.short_side >= SMALLEST_IMAGE)
    count = f"{len(small):,} of {len(headers):,} images are" if len(headers) > 1 else "an image is"
    raise RequestError(
        f"{count} smaller than the crop of {layout.image_size} pixels: the smallest is {part.where(index)} "
        f"with {header.width}×{header.height}. Pass {crop}--upscale to enlarge"
    )


def describe_kinds(headers: Sequence[Header], layout: Layout, sample: bool) -> list[str]:
    """Describe how many images are of an unusual kind and how they are converted, a sentence per kind."""
    grey = [header for header in headers if header.grey] if layout.channels == 3 else []
    kinds = [
        (grey, "greyscale: read as RGB"),
        ([h for h in headers if h.wide], f"grey with more than 8 bits: {_scaling(layout)}"),
        ([h for h in headers if h.mode == "F"], "stored as floats from 0 to 1: scaled to 8 bits"),
        ([h for h in headers if h.deep], "stored with 16 bits a channel: the upper 8 are used"),
        ([h for h in headers if h.mode == "P"], "stored with a palette: read as RGB"),
        ([h for h in headers if h.mode == "CMYK"], "CMYK: converted to RGB"),
        ([h for h in headers if h.alpha], "transparent in places: laid over white"),
    ]
    looked_at = f"{len(headers):,} images{' looked at' if sample else ''}"
    said = [
        f"{len(found):,} of {looked_at} {'is' if len(found) == 1 else 'are'} {text}."
        for found, text in kinds
        if found
    ]
    return [*said, *_warn_of_few_levels(headers, layout)]


def _scaling(layout: Layout) -> str:
    if layout.greys is None:
        return "scaled to 8 bits"
    return f"{layout.greys.low:,} to {layout.greys.high:,} become 0 to 255, in every image alike"


def _warn_of_few_levels(headers: Sequence[Header], layout: Layout) -> list[str]:
    """Warn if values are so close to each other that few of 256 levels remain, a sentence per kind."""
    eight_bits = GreyRange(0, 255)
    deep = [header.greys for header in headers if header.deep and header.greys is not None]
    kinds = [
        ("greys of more than 8 bits", _wide_values(headers), layout.greys),
        ("images with 16 bits a channel", deep, eight_bits),
    ]
    found = [(name, levels_left(values, greys)) for name, values, greys in kinds if values and greys]
    return [
        f"Warning: the {name} keep at most {levels} of 256 levels, as nearly all of their values lie close "
        "together: save them with 8 bits, scaled to the values that matter."
        for name, levels in found
        if levels < FEWEST_LEVELS
    ]
