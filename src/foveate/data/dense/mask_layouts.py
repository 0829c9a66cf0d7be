"""Find folders of images and of masks by name: images beside labels, train/images beside train/masks …"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from foveate.data.dense.mask_pairs import SUFFIXES
from foveate.data.parts import role_of
from foveate.data.tree import is_image
from foveate.errors import RequestError

__all__ = ["MaskFolders", "find_mask_folders", "has_image", "mask_suffix"]

WORDS = {
    "images": ("images", "image", "imgs", "img", "jpegimages"),
    "masks": (
        *("masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot"),
        *("segmentations", "segmentation", "groundtruth", "ground_truth", "gt"),
    ),
}
"""Names of folders of images and of masks; a name that begins with "segmentationclass" is of masks, too."""
MOST_LEVELS = 3
"""How deep a set is looked for below the given folder, where each level has one folder alone."""


class MaskFolders(NamedTuple):
    """A folder of images and that of their masks, which may be the same; `role` None: it holds the parts.

    `masks` is None for a part that has no folder of masks.
    """

    role: str | None
    images: Path
    masks: Path | None


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones; [] if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.name.startswith((".", "__")) and e.is_dir()]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def has_image(folder: Path, levels: int = MOST_LEVELS) -> bool:
    """Return whether there is an image in a folder or at most `levels` folders below it, by its name."""
    return any(True for _ in _images_in(folder)) or (
        levels > 0 and any(has_image(below, levels - 1) for below in _subfolders(folder))
    )


def _images_in(folder: Path) -> Iterator[str]:
    """Yield the names of the images directly in a folder, in no order."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_image(entry.name) and not entry.name.startswith(".") and entry.is_file():
                    yield entry.name
    except OSError:
        return


def find_mask_folders(root: Path) -> tuple[Path, list[MaskFolders]]:
    """Return the folder of the set, `root` or the only folder below it, and where its images and masks lie.

    Only names are looked at. The list is empty if this is no set of images with masks.

    Raises:
        RequestError: several folders may be that of the masks.
    """
    top = root
    for _ in range(MOST_LEVELS):
        if found := _side_by_side(top) or _in_parts(top) or _in_same_folder(top):
            return top, found
        below = _subfolders(top)
        if len(below) != 1 or role_of(below[0].name):
            break
        (top,) = below
    return root, []


def _meaning(name: str) -> tuple[str | None, str | None]:
    """Return the role and the kind ("images", "masks") that the name of a folder stands for."""
    name = name.lower()
    if name.startswith("segmentationclass"):
        return None, "masks"
    for kind, words in WORDS.items():
        if name in words:
            return None, kind
        for word in words:
            for rest in (name.removeprefix(word), name.removesuffix(word)):
                if rest != name and (role := role_of(rest.strip("_-. "))):
                    return role, kind
    return role_of(name), None


def _only(kind: str, folders: Sequence[Path]) -> Path | None:
    """Return the one of `folders` that has images in it."""
    filled = [folder for folder in folders if has_image(folder)]
    if len(filled) > 1:
        names = " and ".join(folder.name for folder in filled)
        raise RequestError(
            f"{filled[0].parent}: {names} may each be its folder of {kind}: keep one of them there"
        )
    return filled[0] if filled else None


def _side_by_side(top: Path) -> list[MaskFolders]:
    """Find a folder of images beside one of masks, with or without parts in them."""
    kinds: dict[str, list[Path]] = {"images": [], "masks": []}
    for folder in _subfolders(top):
        role, kind = _meaning(folder.name)
        if kind and not role:
            kinds[kind].append(folder)
    if not all(kinds.values()) or not (masks := _only("masks", kinds["masks"])):
        return []
    images = _only("images", kinds["images"])
    return [MaskFolders(None, _inner(images), _inner(masks))] if images else []


def _inner(folder: Path) -> Path:
    """Return the folder in which the files or the parts lie, as in images/images."""
    for _ in range(MOST_LEVELS):
        below = [one for one in _subfolders(folder) if has_image(one)]
        if len(below) != 1 or role_of(below[0].name) or any(True for _ in _images_in(folder)):
            break
        (folder,) = below
    return folder


def _in_parts(top: Path) -> list[MaskFolders]:
    """Find parts that hold images and masks, or that lie beside their masks (train, trainannot)."""
    meanings = [(folder, *_meaning(folder.name)) for folder in _subfolders(top)]
    found = []
    without_masks = []
    for role in dict.fromkeys(role for _, role, _ in meanings if role):
        own = [(folder, kind) for folder, of_role, kind in meanings if of_role == role]
        inside = [pair for folder, kind in own if not kind for pair in _side_by_side(folder)]
        masks = _only("masks", [folder for folder, kind in own if kind == "masks"])
        images = [folder for folder, kind in own if kind != "masks"]
        if inside:
            found += [pair._replace(role=role) for pair in inside]
        elif masks and (of_images := _only("images", images)):
            found.append(MaskFolders(role, of_images, masks))
        else:
            without_masks += [MaskFolders(role, folder, None) for folder in images if has_image(folder)]
    return [*found, *without_masks] if found else []


def _in_same_folder(top: Path) -> list[MaskFolders]:
    """Find folders with images and masks in them, which their suffixes tell apart (1.jpg, 1_mask.png)."""
    folders = [(role_of(folder.name), folder) for folder in _subfolders(top)]
    found = [
        MaskFolders(role, folder, folder if mask_suffix(folder) else None)
        for role, folder in folders
        if role and has_image(folder)
    ]
    if any(pair.masks for pair in found):
        return found
    return [MaskFolders(None, top, top)] if mask_suffix(top) else []


def mask_suffix(folder: Path) -> str | None:
    """Return the suffix with which most images in a folder have a mask, if at least half of them have one."""
    stems = {PurePath(name).stem for name in _images_in(folder)}

    def paired(suffix: str) -> int:
        return sum(stem + suffix in stems for stem in stems)

    best = max(SUFFIXES, key=paired)
    images = sum(not stem.endswith(best) for stem in stems)
    return best if 0 < images <= 2 * paired(best) else None
