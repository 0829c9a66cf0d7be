"""Find images with masks as Pascal VOC arranges them (Everingham et al. 2010), and its 21 classes."""

from pathlib import Path

from foveate.data.dense.annotated import MaskPart
from foveate.data.dense.class_lists import find_class_list
from foveate.data.dense.found_masks import FoundMasks
from foveate.data.dense.mask_pairs import by_name, pair_part
from foveate.data.notes import Note
from foveate.data.tree import is_image
from foveate.errors import RequestError

__all__ = ["CLASSES", "find_voc", "read_voc"]

IMAGES, MASKS, LISTS = "JPEGImages", "SegmentationClass", "ImageSets/Segmentation"
PARTS = {"train": "train", "val": "validation", "test": "test"}
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train"),
    "tvmonitor",
)
"""In the order of the palette's indices."""


def find_voc(root: Path) -> Path | None:
    """Return the folder of the set: `root`, or the only VOC… in it or in its VOCdevkit."""
    below = [*root.glob("VOC2*"), *root.glob("VOCdevkit/VOC2*")]
    found = [folder for folder in (root, *below) if _is_voc(folder)]
    return found[0] if len(found) == 1 else None


def _is_voc(folder: Path) -> bool:
    lists = [folder / LISTS / f"{name}.txt" for name in (*PARTS, "trainval")]
    return all((folder / name).is_dir() for name in (IMAGES, MASKS)) and any(one.is_file() for one in lists)


def read_voc(root: Path) -> FoundMasks:
    """Return the parts that the lists in ImageSets/Segmentation name; trainval only without train and val.

    Raises:
        RequestError: a listed image or its mask is missing, an image is in two parts, or a list is empty.
    """
    folder = find_voc(root)
    assert folder is not None
    images, masks = (_images(folder / name) for name in (IMAGES, MASKS))
    lists = {role: folder / LISTS / f"{name}.txt" for name, role in PARTS.items()}
    if not lists["train"].is_file() and not lists["validation"].is_file():
        lists["train"] = folder / LISTS / "trainval.txt"
    notes: list[Note] = []
    parts: dict[str, MaskPart] = {}
    listed: dict[str, str] = {}
    for role, path in lists.items():
        if not path.is_file():
            continue
        names = _read_list(path)
        for name in names:
            if (other := listed.setdefault(name, role)) != role:
                raise RequestError(f"{path} lists {name}, which is in the {other} part: keep it in one part")
        if missing := [name for name in names if name not in images]:
            raise RequestError(
                f"{path} lists {len(missing):,} of {len(names):,} images that are not in {folder / IMAGES}, "
                f"the first is {missing[0]}: add them, or remove their lines"
            )
        chosen = {name: images[name] for name in names}
        paired = pair_part(role, chosen, {name: masks[name] for name in names if name in masks})
        if isinstance(paired, Note):
            notes.append(paired)
        else:
            parts[role] = paired
    if others := len(masks.keys() - listed.keys()):
        notes.append(Note(f"{others:,} masks that no list names were excluded.", is_exclusion=True))
    if names_file := find_class_list(folder):
        return FoundMasks(parts, None, str(names_file), frozenset(), notes)
    return FoundMasks(parts, dict(enumerate(CLASSES)), "Pascal VOC", frozenset(), notes)


def _images(folder: Path) -> dict[str, Path]:
    return by_name((path.stem, path) for path in sorted(folder.iterdir()) if is_image(path.name))


def _read_list(path: Path) -> list[str]:
    """Return the names in a list, one a line, without repeats."""
    try:
        names = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read as a list of names, one a line: {error}") from error
    if not names:
        raise RequestError(f"{path} is empty: expected the name of an image on each line, or no such file")
    return list(dict.fromkeys(names))
