"""Find images with masks as Cityscapes arranges them (Cordts et al. 2016), and its 19 classes of training.

The numbers are those of the authors' cityscapesScripts, cityscapesscripts/helpers/labels.py.
"""

from pathlib import Path

from foveate.data.dense.annotated import MaskPart
from foveate.data.dense.found_masks import FoundMasks
from foveate.data.dense.mask_layouts import has_image
from foveate.data.dense.mask_pairs import by_name, pair_part
from foveate.data.notes import Note
from foveate.data.parts import role_of
from foveate.data.tree import scan
from foveate.errors import RequestError

__all__ = ["CLASSES", "is_cityscapes", "read_cityscapes"]

IMAGES, MASKS = "leftImg8bit", "gtFine"
LABEL_IDS, TRAIN_IDS = "_gtFine_labelIds", "_gtFine_labelTrainIds"
CLASSES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
"""Name of each label id that has a train id; the train ids are 0 to 18 in this order."""
LABELS = range(34)
"""All label ids; -1, the licence plate, is written into no mask."""
PARTS = ("train", "val")


def is_cityscapes(root: Path) -> bool:
    """Return whether a folder has the two folders of Cityscapes with files in them."""
    return all((root / name).is_dir() and has_image(root / name) for name in (IMAGES, MASKS))


def read_cityscapes(root: Path) -> FoundMasks:
    """Return the training and the validation part; the release has no labels for the test part.

    Label ids are read, or train ids where there are no label ids.

    Raises:
        RequestError: an image without a mask, a mask without an image, or no part.
    """
    parts: dict[str, MaskPart] = {}
    notes: list[Note] = []
    suffix = LABEL_IDS if any((root / MASKS).glob(f"*/*/*{LABEL_IDS}.png")) else TRAIN_IDS
    for part in PARTS:
        role = role_of(part)
        images, masks = _named(root / IMAGES / part, f"_{IMAGES}"), _named(root / MASKS / part, suffix)
        if role and (images or masks):
            paired = pair_part(role, images, masks)
            assert isinstance(paired, MaskPart)
            parts[role] = paired
    if not parts:
        raise RequestError(
            f"{root}: expected images in {IMAGES}/train/CITY and {IMAGES}/val/CITY, named *_{IMAGES}.png, "
            "and found none"
        )
    for folder in sorted((root / IMAGES).iterdir()):
        if folder.name not in PARTS and folder.is_dir() and has_image(folder):
            why = "its labels are not published" if folder.name == "test" else "it has no fine labels"
            notes.append(Note(f"The part {folder.name} was excluded: {why}.", is_exclusion=True))
    if suffix == TRAIN_IDS:
        return FoundMasks(parts, dict(enumerate(CLASSES.values())), "Cityscapes", frozenset(), notes)
    return FoundMasks(parts, CLASSES, "Cityscapes", frozenset(LABELS) - CLASSES.keys(), notes)


def _named(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the images below a folder whose names end in `suffix`, by city and name without it."""
    if not folder.is_dir():
        return {}
    stems = ((name.rpartition(".")[0], folder / name) for name in scan(folder).root.below())
    return by_name((stem.removesuffix(suffix), path) for stem, path in stems if stem.endswith(suffix))
