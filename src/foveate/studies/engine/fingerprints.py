"""Under which fingerprint a study goes on that an earlier version, or another process, began."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from foveate.data import Data
from foveate.errors import ImagesChangedError, shortened

__all__ = ["as_begun", "as_seen_by_parent", "changed_images", "describe_fingerprint", "under"]

BY_NAMES = (
    "The study was begun by foveate 0.1.0, which tells images by their names and sizes alone: it goes on "
    "under those, and whether the images held the same when its first runs were made was not recorded."
)


def under(data: Data, fingerprint: str, content: str | None = None) -> Data | None:
    """The images under the fingerprint that a record has of them, or None where it is of other images.

    `content` is the fingerprint of their content, where the record has that beside one of names and sizes.
    """
    by_names = fingerprint == data.names_fingerprint and content in (None, data.content_fingerprint)
    if not by_names and fingerprint != data.content_fingerprint:
        return None
    return data if fingerprint == data.fingerprint else replace(data, fingerprint=fingerprint)


def as_begun(data: Data, *records: Iterable[Path]) -> Data:
    """The images under the fingerprint by which records name them: the first group that has any decides.

    Records of foveate 0.1.0 have the fingerprint of names and sizes. Where it is that of `data`, the work
    goes on under it and the notes say so; the content is recorded from then on, and images of other content
    are other images.
    """
    known = next((found for group in records if (found := _fingerprints(group))), {})
    if data.content_fingerprint in known or data.names_fingerprint not in known:
        return data
    named = under(data, data.names_fingerprint, known[data.names_fingerprint])
    return data if named is None else replace(named, notes=(*data.notes, BY_NAMES))


def describe_fingerprint(data: Data) -> dict[str, str]:
    """What a record says of its images; that of the content too, where the fingerprint is another."""
    if data.fingerprint == data.content_fingerprint:
        return {"fingerprint": data.fingerprint}
    return {"fingerprint": data.fingerprint, "content_fingerprint": data.content_fingerprint}


def as_seen_by_parent(data: Data, fingerprint: str, content: str) -> Data:
    """In a worker process: the images that it opened, under the fingerprint that its parent works with.

    Raises:
        ImagesChangedError: they are others than the parent's.
    """
    same = under(data, fingerprint, content) if content == data.content_fingerprint else None
    if same is None:
        raise ImagesChangedError(
            f"the images of {data.name} are no longer those that the study was started with"
        )
    return same


def changed_images(error: ImagesChangedError, data: Data) -> ImagesChangedError:
    """Name the files that were changed or taken away, as far as they are known."""
    changes = data.changes()
    named = f". {len(changes):,} changed: {shortened(changes)}" if changes else ""
    return ImagesChangedError(
        f"{error}{named}. What was finished is kept: put the images back and give the same command again, or "
        "give another --out to study these"
    )


def _fingerprints(records: Iterable[Path]) -> dict[str, str | None]:
    """The fingerprints that records name, each with that of the content where it was recorded."""
    found: dict[str, str | None] = {}
    for path in records:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            said: dict[str, Any] = record.get("data", {}) if "fingerprint" not in record else record
            name = str(said["fingerprint"])
            found[name] = found.get(name) or said.get("content_fingerprint")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # whoever needs the record says what is wrong with it
    return found
