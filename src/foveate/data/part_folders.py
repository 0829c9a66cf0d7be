"""Decide which folders of an image folder are parts and which are classes, and note the decision."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from foveate.data.notes import Note
from foveate.data.part_names import listed, roles_among, same_but_for_numbers
from foveate.data.parts import role_of
from foveate.data.tree import EXTENSIONS, Folder, Tree
from foveate.errors import RequestError, shortened

__all__ = ["Found", "find_parts"]

IMAGES_OF_MASKS = {"images", "image", "imgs", "img", "jpegimages", "leftimg8bit"}
MASKS = {"labels", "masks", "mask", "annotations", "annots", "segmentationclass", "gtfine", "label"}
"""Folders that lie side by side in a set for segmentation or detection."""
MOST_PARTS = 3


class Found(NamedTuple):
    """The folder of each class in each part, by role and name, and notes on how folders were read."""

    parts: dict[str, dict[str, Folder]]
    notes: list[Note]


def find_parts(tree: Tree) -> Found:
    """Find the parts and classes of a tree; a tree without parts is a single part, called train.

    Parts are recognised by their names and their content: a part holds class folders, a class holds images.
    Folders that may be either are refused, and every layout other than CLASS/IMAGE and train/CLASS/IMAGE is
    described in the notes.

    Raises:
        RequestError: no images in class folders, two folders for the same part, or folders that may be parts
            or classes.
    """
    notes: list[Note] = []
    top = _descended(tree.root, notes)
    nested = [folder for folder in top.filled if folder.filled]
    roles = roles_among([folder.title for folder in nested])
    _refuse_masks(tree.path, top)
    parts = _part_folders(tree.path, nested, roles)
    waiting = [f for f in top.folders if not f.filled and role_of(f.title) == "train"]
    if waiting and parts and "train" not in parts:
        raise _no_images(tree.path, top)
    if "train" in parts or (parts and len(parts) == len(top.filled)):
        return Found(_classes_of(tree.path, top, parts, notes), notes)
    _refuse_part_beside_classes(tree.path, top, parts)
    if len(parts) > 1:
        raise RequestError(
            f"{tree.path}: {_names(parts.values())} hold class folders, as parts do, and none of the "
            f"others ({_names(f for f in top.filled if f not in parts.values())}) is called train: rename "
            "the training part to train"
        )
    if inside := _parts_inside(tree.path, top, notes):
        return Found(inside, notes)
    return Found({"train": _classes_alone(tree.path, top, notes)}, notes)


def _refuse_masks(path: Path, top: Folder) -> None:
    """Refuse images beside masks, as sets for segmentation have them, which could pass for two classes."""
    for folder in (top, *(one for one in top.filled if role_of(one.title))):
        titles = {below.title.lower() for below in folder.filled}
        if len(titles) == 2 and titles & IMAGES_OF_MASKS and titles & MASKS:
            raise RequestError(
                f"{path}: {_names(folder.filled)} are images and their masks or annotations by name, as "
                "sets for segmentation and detection have them: expected a folder for each class. If these "
                "are classes, rename them"
            )


def _descended(root: Folder, notes: list[Note]) -> Folder:
    """Return the folder below the root that holds everything, or the root itself."""
    top = root
    while not top.images and len(top.filled) == 1 and top.filled[0].filled:
        (only,) = top.filled
        below = roles_among([folder.title for folder in only.filled if folder.filled])
        if only.images or (roles_among([only.title]) and len(below) < 2):
            break
        top = only
    if top is not root:
        notes.append(Note(f"All images lie in the folder {top.name}: it was read as the set."))
    return top


def _part_folders(path: Path, nested: Sequence[Folder], roles: dict[str, str]) -> dict[str, Folder]:
    parts: dict[str, Folder] = {}
    for folder in nested:
        if role := roles.get(folder.title):
            if role in parts:
                raise RequestError(
                    f"{path}: both {parts[role].title} and {folder.title} are its {role} part: keep one of "
                    "them"
                )
            parts[role] = folder
    return parts


def _classes_of(
    path: Path, top: Folder, parts: dict[str, Folder], notes: list[Note]
) -> dict[str, dict[str, Folder]]:
    """Return the classes in each of the part folders."""
    others = [folder for folder in top.folders if folder not in parts.values()]
    opened = _unwrapped(path, parts, notes)
    classes = {folder.title for part in opened.values() for folder in part.filled}
    for folder in others:
        twins = classes & {below.title for below in folder.filled}
        if len(parts) == 1 and len(twins) > 1:
            raise RequestError(
                f"{path}: {folder.title} and {_names(parts.values())} hold the same folders "
                f"({shortened(sorted(twins))}), as two parts do: rename {folder.title} to test or val, or "
                "remove it"
            )
    unusual = {f.title: role for role, f in parts.items() if role_of(f.title) is None}
    if unusual:
        notes.append(Note(f"Parts were recognised by their names: {listed(unusual)}."))
    for folder in others:
        if role := role_of(folder.title):
            images = f" Its {folder.count:,} images lie in it directly." if folder.count else ""
            said = f"The {role} part was excluded: it has no images in class folders.{images}"
            notes.append(Note(said, is_exclusion=True))
    if strangers := [f"{f.title} ({f.count:,} images)" for f in others if f.count and not role_of(f.title)]:
        said = f"Folders beside the parts were excluded: {shortened(strangers, 8)}."
        notes.append(Note(said, is_exclusion=True))
    _note_exclusions(top, [], notes)
    for part in opened.values():
        _note_exclusions(part, [f for f in part.folders if not f.count], notes)
    return {role: {folder.title: folder for folder in part.filled} for role, part in opened.items()}


def _unwrapped(path: Path, parts: dict[str, Folder], notes: list[Note]) -> dict[str, Folder]:
    """Return each part's folder, or the only folder in it, as in training_set/training_set/CLASS."""
    opened = dict(parts)
    known = {below.title for part in parts.values() if len(part.filled) > 1 for below in part.filled}
    for role, part in parts.items():
        folder = part
        while not folder.images and len(folder.filled) == 1:
            (only,) = folder.filled
            if only.title in known or only.images or not only.filled:
                break
            folder = only
        if folder is not part:
            said = f"All images of {part.title} lie in the folder {folder.name}: it was read as the part."
            notes.append(Note(said))
        inner = roles_among([below.title for below in folder.filled if below.filled])
        if len(set(inner.values())) > 1:
            raise RequestError(
                f"{path}: {folder.name} holds {shortened(sorted(inner))}, which have the names of "
                "parts: move them one folder up, or remove the others"
            )
        opened[role] = folder
    return opened


def _refuse_part_beside_classes(path: Path, top: Folder, parts: dict[str, Folder]) -> None:
    """Refuse a part that lies beside classes, as in cats, dogs, test/cats, test/dogs."""
    beside = {folder.title for folder in top.filled}
    for folder in top.filled:
        twins = sorted(beside & {below.title for below in folder.filled} - {folder.title})
        if len(twins) > 1 or (twins and folder in parts.values()):
            raise RequestError(
                f"{path}: {folder.title} holds {shortened(twins)}, and folders of these names lie beside it. "
                "It is a part and they are the classes of another. Move those into a folder called train, "
                "and rename this one to test or val"
            )


def _parts_inside(path: Path, top: Folder, notes: list[Note]) -> dict[str, dict[str, Folder]] | None:
    """Return the parts of a set with the layout CLASS/PART/IMAGE, or None for another layout."""
    inner = {folder: roles_among([below.title for below in folder.filled]) for folder in top.filled}
    whole = [f for f, roles in inner.items() if f.filled and len(roles) == len(f.filled) and not f.images]
    split = [f for f, roles in inner.items() if len(set(roles.values())) > 1]
    if not whole and not split:
        return None
    sets = [folder for folder in whole if all(below.filled for below in folder.filled)]
    if sets:
        hold = (
            "holds parts with class folders, as a whole set does"
            if len(sets) == 1
            else ("hold parts with class folders, as whole sets do")
        )
        raise RequestError(
            f"{path}: {_names(sets)} {hold}: give the folder of one set, such as {path / sets[0].name}"
        )
    if len(whole) < len(top.filled):
        if not split:
            return None
        odd = next(folder for folder in top.filled if folder not in whole or folder not in split)
        raise RequestError(
            f"{path}: {split[0].name} holds {shortened(below.title for below in split[0].filled)}, which are "
            f"parts by their names, and {odd.name} does not: arrange all of it as "
            "train/CLASS/IMAGE and test/CLASS/IMAGE"
        )
    parts: dict[str, dict[str, Folder]] = {}
    for folder, roles in inner.items():
        for below in folder.filled:
            of_role = parts.setdefault(roles[below.title], {})
            if folder.title in of_role:
                raise RequestError(
                    f"{path}: both {of_role[folder.title].name} and {below.name} are the "
                    f"{roles[below.title]} part of {folder.title}: keep one of them"
                )
            of_role[folder.title] = below
    every = {below.title: roles[below.title] for folder, roles in inner.items() for below in folder.filled}
    notes.append(Note(f"The parts lie inside the classes: {listed(every)} of each class."))
    _note_exclusions(top, [f for f in top.folders if not f.count], notes)
    return parts


def _classes_alone(path: Path, top: Folder, notes: list[Note]) -> dict[str, Folder]:
    """Return the classes of a set without parts."""
    if not top.filled:
        raise _no_images(path, top)
    flat = roles_among([folder.title for folder in top.filled])
    if len(set(flat.values())) > 1:
        raise RequestError(
            f"{path}: {shortened(flat)} have the names of parts and hold images, not class folders: "
            "expected train/CLASS/IMAGE. If they are classes, rename them"
        )
    if taken := [name for name in flat if role_of(name)]:
        said = f"{shortened(taken)} was read as a class and not as a part: other classes lie beside it."
        notes.append(Note(said))
    _refuse_unnamed_parts(path, top, notes)
    _note_exclusions(top, [folder for folder in top.folders if not folder.count], notes)
    return {folder.title: folder for folder in top.filled}


def _refuse_unnamed_parts(path: Path, top: Folder, notes: list[Note]) -> None:
    """Refuse folders that all hold the same folders: they may be parts with unusual names."""
    within = [{below.title for below in folder.filled} for folder in top.filled]
    common, every = set.intersection(*within), set.union(*within)
    if len(top.filled) < 2 or len(common) < 2 or any(f.images for f in top.filled):
        return
    names = [folder.title for folder in top.filled]
    if 2 * len(common) >= len(every) and (len(names) <= MOST_PARTS or same_but_for_numbers(names)):
        raise RequestError(
            f"{path}: {shortened(names)} hold the same folders ({shortened(sorted(common))}), as the parts "
            "of a set do, and their names do not say which part each is: rename them to train and test (or "
            f"val). If {shortened(names)} are the classes, put their images into them directly"
        )
    twins = shortened(sorted(common))
    notes.append(Note(f"Every class has the same folders ({twins}): each was read as images of the class."))


def _note_exclusions(folder: Folder, empty: Sequence[Folder], notes: list[Note]) -> None:
    """Note images that lie beside class folders, and class folders without images."""
    if folder.images:
        count = len(folder.images)
        said = f"{count:,} images beside class folders were excluded: {shortened(folder.images)}."
        notes.append(Note(said, is_exclusion=True))
    if empty:
        named = [f"{one.name} ({_kinds(one)})" for one in empty]
        said = f"Class folders without images were excluded: {shortened(named, 8)}."
        notes.append(Note(said, is_exclusion=True))


def _kinds(folder: Folder) -> str:
    kinds = folder.others_below().most_common(3)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds) or "empty"


def _names(folders: Iterable[Folder]) -> str:
    return shortened(folder.title for folder in folders)


def _no_images(path: Path, top: Folder) -> RequestError:
    loose = len(top.images)
    found = f"{loose:,} images lie in it directly, but" if loose else "there are"
    return RequestError(
        f"{path}: {found} no images in class folders. Expected CLASS/IMAGE, or train/CLASS/IMAGE with "
        "test/CLASS/IMAGE or val/CLASS/IMAGE beside it, or a CSV file that lists images and labels, or "
        "*.parquet files; "
        f"an image ends in {', '.join(sorted(EXTENSIONS))}"
    )
