"""The fingerprint of a set of images with boxes or masks."""

import hashlib
from collections.abc import Mapping

import numpy as np

from foveate.data.content import HASHED_BYTES, HASHED_IMAGES, digest_images
from foveate.data.dense.opening import Opened
from foveate.data.folder import FileImages
from foveate.data.survey import spread

__all__ = ["dense_fingerprint", "find_dense_digests"]


def find_dense_digests(opened: Opened) -> np.ndarray | None:
    """Return the hash of each image of a set of at most 2 GiB, uint8 (N, DIGEST); None for a larger set."""
    return digest_images([*opened.parts.values()]) if opened.stored_bytes <= HASHED_BYTES else None


def dense_fingerprint(
    classes: tuple[str, ...], opened: Opened, annotations: Mapping[str, bytes], digests: np.ndarray | None
) -> str:
    """Hash everything that determines what networks see: images, their order, annotations and classes.

    `annotations` are those of all images of a part, by role, and `digests` those of `find_dense_digests`.
    Without them only 2,048 images are hashed, with the names, sizes and modification times of all files.
    """
    hashed = hashlib.sha256(repr(("dense", classes, opened.channels, [*opened.parts])).encode())
    for role in opened.parts:
        hashed.update(opened.kept[role].astype("<i8").tobytes() + annotations[role])
    if digests is None:
        parts = list(opened.parts.values())
        for part in parts:
            images = part.images
            assert isinstance(images, FileImages)
            assert images.stamps is not None
            hashed.update("\n".join(images.files).encode() + images.stamps.astype("<i8").tobytes())
        share = -(-HASHED_IMAGES // len(parts))
        digests = digest_images([part.take(spread(part.labels, share)) for part in parts])
    hashed.update(digests.tobytes())
    return hashed.hexdigest()
