"""Folders of images that were corrupted elsewhere, in the layouts of CIFAR-10-C and ImageNet-C."""

from collections.abc import Sequence
from pathlib import Path

from foveate.data.corruption_names import noise_sigma
from foveate.data.greys import GreyRange
from foveate.data.prepared.arrays import ArrayCorruptions
from foveate.data.prepared.base import LABELS, PreparedCorruptions
from foveate.data.prepared.folders import FolderCorruptions
from foveate.errors import RequestError
from foveate.records.robustness import CLEAN

__all__ = ["ArrayCorruptions", "FolderCorruptions", "PreparedCorruptions", "open_prepared"]


def open_prepared(
    folder: Path,
    classes: Sequence[str],
    image_size: int,
    channels: int,
    naming: Path | None = None,
    greys: GreyRange | None = None,
) -> PreparedCorruptions:
    """Open a folder of CORRUPTION.npy with labels.npy, or of CORRUPTION/SEVERITY/CLASS/IMAGE.

    `naming` is a file that says which of `classes` each label or class folder is (see `read_class_names`);
    without it folders are matched by name and labels by number (see `number_classes`). Nothing is unpickled,
    and arrays are memory-mapped. `greys` is the range of greys of more than 8 bits of the set that the
    networks were trained on.

    Raises:
        RequestError: the folder has neither layout, its images or classes do not fit the networks, or a
            corruption has a name that is reserved for images made here: clean, noise_σ.
    """
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: give the folder of a prepared -C set")
    layout = ArrayCorruptions if (folder / LABELS).is_file() else FolderCorruptions
    prepared = layout(folder, classes, image_size, channels, naming, greys)
    for name in prepared.corruptions:
        if name == CLEAN or noise_sigma(name) is not None:
            raise RequestError(
                f"{folder} has a corruption {name!r}, and images of that name are made here: rename it"
            )
    return prepared
