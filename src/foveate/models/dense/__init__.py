"""Detectors and segmenters over any backbone that gives feature maps.

- `names`: which there are; `features`, `torchvision_features`: backbones that give their maps; `stages`,
  `norms`: which parts of these learn, and their norms.
- `detectors`, `pyramid`, `options`: torchvision's detectors over a feature pyramid; `segmenters`.
- `placement`: attention in the backbone, in the neck, or in both.
"""

from typing import TYPE_CHECKING

from foveate.lazy import lazy_names
from foveate.models.dense.names import DETECTORS, NORMS, PARTS, SEGMENTERS

if TYPE_CHECKING:
    from foveate.models.dense.detectors import create_detector
    from foveate.models.dense.placement import attach_dense, backbone_path, neck_paths, neck_sites
    from foveate.models.dense.segmenters import create_segmenter, stride_of

__all__ = [
    "DETECTORS",
    "NORMS",
    "PARTS",
    "SEGMENTERS",
    "attach_dense",
    "backbone_path",
    "create_detector",
    "create_segmenter",
    "neck_paths",
    "neck_sites",
    "stride_of",
]

# The command line reads the names, and imports no torch for them.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "create_detector": "foveate.models.dense.detectors",
        "attach_dense": "foveate.models.dense.placement",
        "backbone_path": "foveate.models.dense.placement",
        "neck_paths": "foveate.models.dense.placement",
        "neck_sites": "foveate.models.dense.placement",
        "create_segmenter": "foveate.models.dense.segmenters",
        "stride_of": "foveate.models.dense.segmenters",
    },
)
