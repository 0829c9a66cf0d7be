"""Fingerprints of a set of images: hashes of their content and order."""

import hashlib
from collections.abc import Sequence

import numpy as np

from foveate.data.images import UnreadableImageError
from foveate.data.layout import Layout
from foveate.data.notes import Note
from foveate.data.parts import Part, Source
from foveate.data.survey import DIGEST, digest, in_threads, spread
from foveate.errors import shortened

__all__ = [
    "content_fingerprint",
    "describe_shared",
    "digest_images",
    "find_digests",
    "names_fingerprint",
]

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


def find_digests(found: Source, parts: Sequence[Part], digests: np.ndarray | None) -> np.ndarray | None:
    """Return `digests` if they are known, else those of all images of a set of at most 2 GiB, else None."""
    if digests is None and not found.known_content and found.size <= HASHED_BYTES:
        return digest_images(parts)
    return digests


def describe_shared(parts: Sequence[Part], digests: np.ndarray) -> Note | None:
    """Note the images of the test and validation parts that the training part has, too; None without one.

    `parts` are train, test and possibly validation, `digests` of all their images. Images are the same if
    their files are.
    """
    counts = [len(part) for part in parts]
    train, *others = np.split(digests, np.cumsum(counts)[:-1])
    places = {row.tobytes(): index for index, row in enumerate(train) if row.any()}
    said = []
    for title, part, own in zip(("test", "validation"), parts[1:], others, strict=False):
        places_of_own = (places.get(row.tobytes()) for row in own)
        pairs = [(i, j) for i, j in enumerate(places_of_own) if j is not None]
        if pairs:
            named = shortened(f"{part.where(i)} (= {parts[0].where(j)})" for i, j in pairs)
            said.append(f"{len(pairs):,} of {len(part):,} images of the {title} part: {named}")
    if not said:
        return None
    return Note(f"The training part also has {'; and '.join(said)}. Networks may have learnt them by heart.")


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
