"""Read images with masks that lie in folders, paired by their names."""

from pathlib import Path, PurePath

from foveate.data.dense.annotated import MaskPart
from foveate.data.dense.class_lists import find_class_list
from foveate.data.dense.found_masks import FoundMasks
from foveate.data.dense.mask_layouts import find_mask_folders, mask_suffix
from foveate.data.dense.mask_pairs import by_name, pair_part
from foveate.data.notes import Note
from foveate.data.part_names import roles_among
from foveate.data.tree import scan
from foveate.errors import RequestError, shortened

__all__ = ["read_mask_folders"]


def read_mask_folders(root: Path) -> FoundMasks:
    """Return images and masks that lie in folders, paired by their names.

    Raises:
        RequestError: an image without a mask, a mask without an image, two files for one name, or a folder
            that cannot be read.
    """
    top, folders = find_mask_folders(root)
    notes = [] if top == root else [Note(f"All images lie in the folder {top.name}: it was read as the set.")]
    images: dict[str, list[tuple[str, Path]]] = {}
    masks: dict[str, list[tuple[str, Path]]] = {}
    others = ""
    for pair in folders:
        suffix = mask_suffix(pair.images) if pair.images == pair.masks else None
        for role, name, path in _listed(pair.images, pair.role, notes):
            is_mask = suffix is not None and name.endswith(suffix)
            (masks if is_mask else images).setdefault(role, []).append((name, path))
        if pair.masks and not suffix:
            for role, name, path in _listed(pair.masks, pair.role, notes):
                masks.setdefault(role, []).append((name, path))
            others = others or _other_files(pair.masks)
    parts: dict[str, MaskPart] = {}
    for role in dict.fromkeys([*images, *masks]):
        named = by_name(images.get(role, ())), by_name(masks.get(role, ()))
        paired = pair_part(role, *named, others)
        if isinstance(paired, Note):
            notes.append(paired)
        else:
            parts[role] = paired
    listed = find_class_list(top) or find_class_list(root)
    return FoundMasks(parts, None, str(listed) if listed else "", frozenset(), list(dict.fromkeys(notes)))


def _listed(folder: Path, role: str | None, notes: list[Note]) -> list[tuple[str, str, Path]]:
    """Return role, name without extension (without the part's folder) and path of each image in a folder."""
    tree = scan(folder)
    notes += tree.notes()
    names = tree.root.below()
    roles: dict[str, str] = {}
    if role is None:
        roles = roles_among([below.title for below in tree.root.filled])
        if strangers := sorted(name for name in names if roles and name.split("/")[0] not in roles):
            said = f"{len(strangers):,} images beside the parts in {folder.name} were excluded: "
            notes.append(Note(said + f"{shortened(strangers)}.", is_exclusion=True))
            names = [name for name in names if name.split("/")[0] in roles]
    if len(set(roles.values())) < len(roles):
        raise RequestError(f"{folder}: {', '.join(roles)} are twice the same part: keep one of each")
    listed = []
    for name in names:
        first, _, rest = name.partition("/") if roles else ("", "", name)
        listed.append((role or roles.get(first, "train"), str(PurePath(rest).with_suffix("")), folder / name))
    return listed


def _other_files(folder: Path) -> str:
    """Say what else lies in a folder, by extension."""
    others = scan(folder).root.others_below().most_common(3)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in others)
    return f" ({folder} also has {listed}, which are no images)" if listed else ""
