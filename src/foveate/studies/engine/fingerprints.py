"""Which fingerprint the images of a study have, if an earlier version or another process recorded it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from foveate.data import Data
from foveate.errors import ImagesChangedError, shortened

__all__ = ["as_begun", "as_seen_by_parent", "changed_images", "describe_fingerprint", "under"]

BY_NAMES = (
    "The study was begun by foveate 0.1.0, which identifies images by their names and sizes alone, and keeps "
    "that fingerprint. Whether the images had the same content in its first runs was not recorded."
)


def under(data: Data, fingerprint: str, content: str | None = None) -> Data | None:
    """Return `data` with the `fingerprint` of a record, or None if the record is of other images.

    `content` is the fingerprint of their content, if the record has that as well.
    """
    by_names = fingerprint == data.names_fingerprint and content in (None, data.content_fingerprint)
    if not by_names and fingerprint != data.content_fingerprint:
        return None
    return data if fingerprint == data.fingerprint else replace(data, fingerprint=fingerprint)


def as_begun(data: Data, *records: Iterable[Path]) -> Data:
    """Return `data` with the fingerprint in `records`; the first group that has one decides.

    Records of foveate 0.1.0 have a fingerprint of names and sizes. If `data` matches it, it is kept, and a
    note says so. From then on the fingerprint of the content is recorded too, and must match.
    """
    known = next((found for group in records if (found := _fingerprints(group))), {})
    if data.content_fingerprint in known or data.names_fingerprint not in known:
        return data
    named = under(data, data.names_fingerprint, known[data.names_fingerprint])
    return data if named is None else replace(named, notes=(*data.notes, BY_NAMES))


def describe_fingerprint(data: Data) -> dict[str, str]:
    """Return the fields of a record that identify its images: one fingerprint, or two if they differ."""
    if data.fingerprint == data.content_fingerprint:
        return {"fingerprint": data.fingerprint}
    return {"fingerprint": data.fingerprint, "content_fingerprint": data.content_fingerprint}


def as_seen_by_parent(data: Data, fingerprint: str, content: str) -> Data:
    """Return `data`, which a worker process opened, with its parent's fingerprint.

    Raises:
        ImagesChangedError: the images differ from the parent's.
    """
    same = under(data, fingerprint, content) if content == data.content_fingerprint else None
    if same is None:
        raise ImagesChangedError(
            f"the images of {data.name} are no longer those that the study was started with"
        )
    return same


def changed_images(error: ImagesChangedError, data: Data) -> ImagesChangedError:
    """Return the error with the names of the files that were changed or removed, if they are known."""
    changes = data.changes()
    named = f". {len(changes):,} changed: {shortened(changes)}" if changes else ""
    return ImagesChangedError(
        f"{error}{named}. Finished runs are kept: restore the images and give the same command again, or "
        "give another --out to study these"
    )


def _fingerprints(records: Iterable[Path]) -> dict[str, str | None]:
    """Return the fingerprints in `records`, each with the fingerprint of the content, if it is recorded."""
    found: dict[str, str | None] = {}
    for path in records:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            part = record if "fingerprint" in record else record["data"]
            name = str(part["fingerprint"])
            found[name] = found.get(name) or part.get("content_fingerprint")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # the code that needs this record reports what is wrong with it
    return found
