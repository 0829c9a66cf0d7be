"""Data sets (embedded, folders, parquet files, the hub), their batches and augmentation."""

from foveate.data.augment import AUGMENTATIONS, Augmentation, centre, seen
from foveate.data.dataset import Data, load_data
from foveate.data.loading import Loader, make_loader
from foveate.data.store import ImageStore

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Data",
    "ImageStore",
    "Loader",
    "centre",
    "load_data",
    "make_loader",
    "seen",
]
