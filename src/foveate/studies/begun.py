"""Under which fingerprint a study goes on that was begun before: by an earlier version, or by another process."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from foveate.data import Data
from foveate.errors import ImagesChangedError, shortened

__all__ = ["as_begun", "as_seen_by_parent", "changed_images"]

BY_NAMES = (
    "The study was begun by foveate 0.1.0, which tells images by their names and sizes alone: it goes on under "
    "those, and whether the images held the same when its first runs were made was not recorded."
)


def as_begun(data: Data, study: Path, specs: Iterable[Path] = ()) -> Data:
    """The images under the fingerprint by which `study` (its study.json) or the first of `specs` names them.

    Records of foveate 0.1.0 have the fingerprint of names and sizes. Where it is that of `data`, the work goes
    on under it and the notes say so; the content is recorded from then on, and images of other content are
    other images.
    """
    known = _fingerprints([study]) or _fingerprints(specs)
    if data.names_fingerprint not in known or data.fingerprint in known:
        return data
    if known[data.names_fingerprint] not in (None, data.fingerprint):
        return data
    return replace(data, fingerprint=data.names_fingerprint, notes=(*data.notes, BY_NAMES))


def as_seen_by_parent(data: Data, fingerprint: str) -> Data:
    """In a worker process: the images that it opened, under the fingerprint that its parent works with.

    Raises:
        ImagesChangedError: they are others than the parent's.
    """
    if fingerprint == data.fingerprint:
        return data
    if fingerprint == data.names_fingerprint:
        return replace(data, fingerprint=fingerprint)
    raise ImagesChangedError(f"the images of {data.name} are no longer those that the study was started with")


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
            found[str(said["fingerprint"])] = said.get("content_fingerprint")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # whoever needs the record says what is wrong with it
    return found
