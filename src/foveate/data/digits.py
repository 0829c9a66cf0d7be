"""The embedded set: scikit-learn's 1,797 handwritten digits, 8×8 and grey, nothing to download."""

import hashlib

import numpy as np

from foveate.data.parts import Part, Source

__all__ = ["read_digits"]


class ArrayImages:
    """Images that are already decoded, uint8 (N, H, W)."""

    def __init__(self, arrays: np.ndarray) -> None:
        self.arrays = arrays

    def __getitem__(self, row: int) -> np.ndarray:
        return self.arrays[row]

    def where(self, row: int) -> str:
        """Return the number of the image, for messages."""
        return f"digits, image {row}"


def read_digits() -> Source:
    """Read the digits, their 17 grey levels (0..16) scaled to 0..255, as one part without a test part."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    arrays = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    part = Part(ArrayImages(arrays), np.arange(len(arrays)), digits.target.astype(np.int64))
    classes = [str(name) for name in digits.target_names]
    identity = hashlib.sha256(arrays.tobytes()).hexdigest()
    return Source("digits", {"train": part}, classes, identity, [], known_content=True)
