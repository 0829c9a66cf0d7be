"""Data sets (embedded, folders, parquet files, the hub), their batches and augmentation."""

from typing import TYPE_CHECKING

from foveate.extras import check_bench
from foveate.lazy import lazy_names

if TYPE_CHECKING:
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

check_bench(__name__)
# The command line checks where images come from without importing what reads them.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AUGMENTATIONS": "foveate.data.augment",
        "Augmentation": "foveate.data.augment",
        "centre": "foveate.data.augment",
        "seen": "foveate.data.augment",
        "Data": "foveate.data.dataset",
        "load_data": "foveate.data.dataset",
        "Loader": "foveate.data.loading",
        "make_loader": "foveate.data.loading",
        "ImageStore": "foveate.data.store",
    },
)
