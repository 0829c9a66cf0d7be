"""Under which fingerprint images go on that were recorded before: by 0.1.0, or by the parent of a worker."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foveate.data import Data, load_data
from foveate.errors import ImagesChangedError
from foveate.studies.engine.fingerprints import (
    BY_NAMES,
    as_begun,
    as_seen_by_parent,
    changed_images,
    describe_fingerprint,
    under,
)


@pytest.fixture
def data(bands: Path, tmp_path: Path) -> Data:
    """Images that a test may change."""
    return load_data(str(shutil.copytree(bands, tmp_path / "bands")))


def write(path: Path, **about: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": about} if path.name == "study.json" else about))
    return path


def test_a_study_of_0_1_0_goes_on_under_its_own_fingerprint_and_says_so(data: Data, tmp_path: Path) -> None:
    assert len({data.fingerprint, data.names_fingerprint}) == 2
    study = write(tmp_path / "study.json", fingerprint=data.names_fingerprint)
    begun = as_begun(data, [study])
    assert begun.fingerprint == data.names_fingerprint
    assert begun.notes == (*data.notes, BY_NAMES)
    # From then on the content is recorded, and other content is not taken for it.
    study = write(tmp_path / "study.json", **describe_fingerprint(begun))
    assert as_begun(data, [study]).fingerprint == data.names_fingerprint
    replaced = replace(data, fingerprint="other", content_fingerprint="other")
    assert as_begun(replaced, [study]) is replaced


def test_new_studies_and_those_of_other_images_have_the_fingerprint_of_the_content(
    data: Data, tmp_path: Path
) -> None:
    assert describe_fingerprint(data) == {"fingerprint": data.content_fingerprint}
    new = write(tmp_path / "a" / "study.json", fingerprint=data.fingerprint)
    other = write(tmp_path / "b" / "study.json", fingerprint="0" * 64)
    for records in ([new], [other], [tmp_path / "none" / "study.json"], [bad_json(tmp_path)]):
        assert as_begun(data, records) is data


def bad_json(folder: Path) -> Path:
    path = folder / "bad" / "study.json"
    path.parent.mkdir()
    path.write_text("{")
    return path


def test_runs_say_it_where_there_is_no_study_yet(data: Data, tmp_path: Path) -> None:
    old = write(tmp_path / "runs/1/spec.json", fingerprint=data.names_fingerprint)
    new = write(tmp_path / "runs/2/spec.json", fingerprint=data.fingerprint)
    study = write(tmp_path / "study.json", fingerprint=data.fingerprint)
    assert as_begun(data, [], [old]).fingerprint == data.names_fingerprint
    assert as_begun(data, [], [old, new]) is data, "the work went on under the content already"
    assert as_begun(data, [study], [old]) is data, "the study decides"


def test_a_worker_takes_its_parents_images_alone(data: Data) -> None:
    assert as_seen_by_parent(data, data.fingerprint, data.content_fingerprint) is data
    old = as_seen_by_parent(data, data.names_fingerprint, data.content_fingerprint)
    assert old.fingerprint == data.names_fingerprint
    for fingerprint in (data.fingerprint, data.names_fingerprint):
        with pytest.raises(ImagesChangedError, match="the images of bands are no longer those"):
            as_seen_by_parent(data, fingerprint, "other")


def test_files_that_changed_or_vanished_are_named(data: Data, tmp_path: Path) -> None:
    assert data.changes() == []
    (tmp_path / "bands/train/low/3.png").unlink()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "bands/test/high/0.png")
    said = str(changed_images(ImagesChangedError("they differ"), data))
    assert said.startswith("they differ. 2 changed: ")
    assert f"{tmp_path}/bands/train/low/3.png: it was removed" in said
    assert f"{tmp_path}/bands/test/high/0.png: it was changed after the set was opened" in said


def test_fingerprints_of_both_kinds_name_the_same_images(data: Data) -> None:
    assert under(data, data.content_fingerprint) is data
    named = under(data, data.names_fingerprint)
    assert named is not None
    assert (named.fingerprint, named.content_fingerprint) == (data.names_fingerprint, data.fingerprint)
    again = under(named, data.content_fingerprint)
    assert again is not None
    assert again.fingerprint == data.fingerprint
    assert under(data, data.names_fingerprint, "other content") is None
    assert under(data, "other") is None
