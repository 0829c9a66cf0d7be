"""Survey the images of a set before training: read headers of a sample, or decode all of them."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from foveate.data.images import Encoded, Header, UnreadableImageError, broken_images, decode, place, probe
from foveate.data.layout import Layout
from foveate.data.parts import Part

__all__ = ["DIGEST", "Survey", "decode_all", "digest", "in_threads", "probe_sample", "spread"]

Result = TypeVar("Result")
DIGEST = 16
"""Bytes of the hash of one image."""


class Survey(NamedTuple):
    """The images that were read: the part and index of each, and its header or its error."""

    rows: Sequence[tuple[Part, int]]
    results: Sequence[Header | UnreadableImageError]

    def healthy(self) -> tuple[list[Header], list[tuple[Part, int]]]:
        """Return headers and rows of the images that could be read.

        Raises:
            RequestError: there is none.
        """
        pairs = [(r, row) for r, row in zip(self.results, self.rows, strict=True) if isinstance(r, Header)]
        if not pairs:
            raise broken_images(self.broken())
        return [header for header, _ in pairs], [row for _, row in pairs]

    def broken(self) -> list[tuple[str, UnreadableImageError]]:
        """Return the names of the other images, with the reasons."""
        return [
            (part.where(index), result)
            for (part, index), result in zip(self.rows, self.results, strict=True)
            if isinstance(result, UnreadableImageError)
        ]


def in_threads(function: Callable[[int], Result], count: int) -> list[Result]:
    """Call `function` on 0..count-1 in a pool of threads: Pillow's codecs release the interpreter lock."""
    chunks = [range(start, min(start + 64, count)) for start in range(0, count, 64)]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as pool:
        done = pool.map(lambda chunk: [function(i) for i in chunk], chunks)
        return [result for chunk in done for result in chunk]


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` positions of `labels`, spread evenly over and within the classes, sorted."""
    order = np.argsort(labels, kind="stable")
    return np.sort(order[np.linspace(0, len(order), min(count, len(order)), endpoint=False).astype(np.int64)])


def probe_sample(parts: Sequence[Part], count: int) -> Survey:
    """Read the headers of about `count` images, the same number of each part."""
    share = -(-count // len(parts))
    rows = [(part, int(index)) for part in parts for index in spread(part.labels, share)]

    def read(k: int) -> Header | UnreadableImageError:
        part, index = rows[k]
        try:
            return probe(part[index])
        except UnreadableImageError as error:
            return error.with_traceback(None)

    return Survey(rows, in_threads(read, len(rows)))


def digest(encoded: Encoded) -> bytes:
    """Hash an image as it is stored, its file's bytes or its pixels.

    Raises:
        UnreadableImageError: the file cannot be read.
    """
    if isinstance(encoded, Path):
        try:
            with encoded.open("rb") as file:
                return hashlib.file_digest(file, _blake).digest()
        except OSError as error:
            raise UnreadableImageError(error.strerror or str(error)) from error
    if isinstance(encoded, np.ndarray):
        encoded = repr(encoded.shape).encode() + encoded.tobytes()
    return _blake(encoded).digest()


def _blake(content: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(content, digest_size=DIGEST)


def decode_all(
    parts: Sequence[Part], layout: Layout, *, keep: bool
) -> tuple[list[Tensor], Survey, np.ndarray]:
    """Decode every image, with `keep` into one tensor per part, uint8 (N, C, S, S).

    A broken image leaves its place in the tensor undefined and its reason in the survey.

    Returns:
        the tensors, the survey, and the hash of each image as it is stored, uint8 (N, DIGEST).
    """
    rows = [(part, index) for part in parts for index in range(len(part))]
    shape = (len(rows) if keep else 0, layout.channels, layout.canvas, layout.canvas)
    images = torch.empty(shape, dtype=torch.uint8)
    canvases, digests = images.numpy(), np.zeros((len(rows), DIGEST), np.uint8)

    def read(k: int) -> Header | UnreadableImageError:
        part, index = rows[k]
        try:
            stored = part[index]
            pixels, header = decode(stored, layout.greys or "own")
            digests[k] = np.frombuffer(digest(stored), np.uint8)
        except UnreadableImageError as error:
            return error.with_traceback(None)
        if keep:
            canvases[k] = place(pixels, layout.channels, layout.canvas)
        return header

    survey = Survey(rows, in_threads(read, len(rows)))
    return list(images.split([len(part) for part in parts])) if keep else [], survey, digests
