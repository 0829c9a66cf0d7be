"""Fingerprints of a set of images: hashes of their content and order."""

import hashlib
from collections.abc import Sequence

import numpy as np

from foveate.data.images import UnreadableImageError
from foveate.data.layout import Layout
from foveate.data.parts import Part, Source
from foveate.data.survey import DIGEST, digest, in_threads, spread

__all__ = ["content_fingerprint", "digest_images", "names_fingerprint"]

HASHED_BYTES = 2 << 30
"""Maximum bytes of a set that is hashed in full although it is not kept in memory."""
HASHED_IMAGES = 2048
"""Number of images of a larger set that are hashed, spread over classes and parts."""


def digest_images(parts: Sequence[Part]) -> np.ndarray:
    """Hash each stored image of `parts`, uint8 (N, DIGEST); one that cannot be read has zeros."""
    rows = [(part, index) for part in parts for index in range(len(part))]

    def read(k: int) -> bytes:
        part, index = rows[k]
        try:
            return digest(part[index])
        except UnreadableImageError:
            return bytes(DIGEST)

    joined = b"".join(in_threads(read, len(rows)))
    return np.frombuffer(joined, np.uint8).reshape(-1, DIGEST)


def content_fingerprint(
    found: Source, layout: Layout, parts: Sequence[Part], digests: np.ndarray | None, *, in_memory: bool
) -> str:
    """Hash everything that determines what networks see: stored bytes, order, labels, classes, layout.

    `digests` are those of all images of `parts`, if they are known. Of a set that is not kept in memory and
    is stored in over 2 GiB, only 2,048 images are hashed, with the names, sizes and modification times of all
    files: a copy has the same fingerprint only if it keeps the times, and a file that is replaced by one of
    the same size and time is not noticed.
    """
    if found.known_content:
        return names_fingerprint(found, layout, parts)
    hashed = hashlib.sha256(repr(("content", list(found.classes), _shape(layout))).encode())
    if not (in_memory or found.size <= HASHED_BYTES):
        hashed.update(f"{found.identity} {found.times}".encode())
        share = -(-HASHED_IMAGES // len(parts))
        digests = digest_images([part.take(spread(part.labels, share)) for part in parts])
    elif digests is None:
        digests = digest_images(parts)
    for part in parts:
        hashed.update(repr(len(part)).encode() + part.labels.astype("<i8").tobytes())
    hashed.update(digests.tobytes())
    return hashed.hexdigest()


def names_fingerprint(found: Source, layout: Layout, parts: Sequence[Part]) -> str:
    """Hash names and sizes of the files, labels, classes and the layout, as foveate 0.1.0 did.

    It identifies the runs of studies that were started by that version, and those of the embedded digits.
    """
    hashed = hashlib.sha256(repr((found.identity, list(found.classes), _shape(layout))).encode())
    for part in parts:
        hashed.update(repr(len(part)).encode() + part.labels.astype("<i8").tobytes())
    return hashed.hexdigest()


def _shape(layout: Layout) -> tuple[object, ...]:
    return layout.channels, layout.image_size, layout.canvas, layout.padding, *layout.own_greys
