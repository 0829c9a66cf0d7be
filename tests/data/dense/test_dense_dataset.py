"""Sets with boxes or masks, opened: parts, splits, what is kept in memory, fingerprints, broken images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dense_sets import SIDE, boxes_set, masks_set
from foveate.data.dense.boxes import read_boxes
from foveate.data.dense.dataset import DenseData, open_boxes, open_masks
from foveate.data.dense.masks import read_masks
from foveate.errors import RequestError

NO_TEST_PART = "The set has no test part: its validation part is held out as the test part."


def boxes_of(folder: Path, **options: object) -> DenseData:
    return open_boxes(read_boxes(folder), **options)  # type: ignore[arg-type]


def masks_of(folder: Path, **options: object) -> DenseData:
    return open_masks(read_masks(folder), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boxes_set(tmp_path_factory.mktemp("sets") / "boxes")


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return masks_set(tmp_path_factory.mktemp("sets") / "masks")


def test_boxes_are_opened_with_their_parts_and_numbers(boxes: Path) -> None:
    data = boxes_of(boxes)
    assert (len(data.train), len(data.test), data.validation) == (24, 8, None)
    assert (data.classes, data.categories, data.image_ids) == (("red", "blue"), (1, 2), tuple(range(1, 9)))
    assert (data.channels, data.image_size, data.input_shape) == (3, SIDE, (3, SIDE, SIDE))
    assert NO_TEST_PART in data.notes
    (image,), (target,) = data.train.__getitems__([3])
    pixels = np.asarray(Image.open(boxes / "train" / "04.png"))
    assert torch.equal(image, torch.from_numpy(pixels.transpose(2, 0, 1).copy()))
    content = json.loads((boxes / "train.json").read_text(encoding="utf-8"))
    own = [one for one in content["annotations"] if one["image_id"] == 4]
    corners = [[x, y, x + width, y + height] for x, y, width, height in (one["bbox"] for one in own)]
    assert target.boxes.tolist() == corners
    assert target.labels.tolist() == [one["category_id"] - 1 for one in own]


def test_mean_and_std_are_of_the_training_images(masks: Path) -> None:
    data = masks_of(masks)
    files = sorted((masks / "images" / "train").iterdir())
    pixels = np.stack([np.asarray(Image.open(file)) for file in files]).reshape(-1, 3) / 255
    assert data.mean == pytest.approx(pixels.mean(0))
    assert data.std == pytest.approx(pixels.std(0))


def test_a_crop_and_the_stride_are_found_from_the_size_of_most_images(masks: Path) -> None:
    assert masks_of(masks).image_size == 64
    assert masks_of(masks, image_size=32).image_size == 32
    data = masks_of(masks)
    assert data.input_shape == (3, 64, 64)


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_images_on_demand_are_those_in_memory(kind: str, boxes: Path, masks: Path) -> None:
    kept, streamed = (
        (boxes_of(boxes, memory_limit=limit) if kind == "boxes" else masks_of(masks, memory_limit=limit))
        for limit in (1 << 30, 0)
    )
    assert kept.train.in_memory
    assert not streamed.train.in_memory
    assert any("decoded on demand" in note for note in streamed.notes)
    assert kept.fingerprint == streamed.fingerprint
    for ours, theirs in zip(kept.test.__getitems__([0, 7]), streamed.test.__getitems__([0, 7]), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
            assert all(torch.equal(x, y) for x, y in pairs)


def test_seeds_split_the_training_images(boxes: Path) -> None:
    data = boxes_of(boxes)
    training, validation = data.split(0, 0.25)
    assert (len(training), len(validation)) == (18, 6)
    assert sorted([*training, *validation]) == list(range(24))
    assert data.split(0, 0.25)[1].tolist() == validation.tolist()
    assert data.split(1, 0.25)[1].tolist() != validation.tolist()
    few = data.split(0, 0.25, train_fraction=0.5)
    assert (len(few[0]), len(few[1])) == (9, 3)
    for fractions in ((0.0, 1.0), (1.0, 1.0), (0.25, 0.0)):
        with pytest.raises(RequestError, match="fraction"):
            data.split(0, *fractions)


def test_a_validation_part_without_boxes_is_refused(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    held = boxes_of(folder).split(3, 0.1)[1] + 1
    content = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] not in held]
    (folder / "train.json").write_text(json.dumps(content), encoding="utf-8")
    data = boxes_of(folder)
    with pytest.raises(RequestError, match="seed 3 holds out of boxes for validation have no boxes"):
        data.split(3, 0.1)
    assert len(data.split(3, 0.5)[1]) == 12


def test_a_single_part_gives_a_test_part_that_is_always_the_same(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    (folder / "val.json").unlink()
    data = boxes_of(folder)
    assert (len(data.train), len(data.test)) == (19, 5)
    assert boxes_of(folder).image_ids == data.image_ids
    assert not set(data.image_ids) & {int(Path(data.train.part.where(i)).stem) for i in range(19)}


def test_the_fingerprint_follows_images_and_annotations(tmp_path: Path, boxes: Path, masks: Path) -> None:
    same = boxes_set(tmp_path / "boxes")
    assert boxes_of(same).fingerprint == boxes_of(boxes).fingerprint
    content = json.loads((same / "train.json").read_text(encoding="utf-8"))
    content["annotations"][0]["bbox"][2] -= 1
    (same / "train.json").write_text(json.dumps(content), encoding="utf-8")
    assert boxes_of(same).fingerprint != boxes_of(boxes).fingerprint
    again = masks_set(tmp_path / "masks")
    assert masks_of(again).fingerprint == masks_of(masks).fingerprint
    path = again / "labels" / "train" / "01.png"
    mask = np.asarray(Image.open(path)).copy()
    mask[0, 0] = (mask[0, 0] + 1) % 3
    Image.fromarray(mask).save(path)
    assert masks_of(again).fingerprint != masks_of(masks).fingerprint


def test_broken_images_are_named_or_skipped(tmp_path: Path) -> None:
    folder = masks_set(tmp_path / "masks")
    broken = folder / "images" / "train" / "05.png"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(RequestError, match=r"1 broken image:\n.*05\.png"):
        masks_of(folder)
    data = masks_of(folder, skip_broken=True)
    assert len(data.train) == 23
    assert any("05.png" in note for note in data.exclusions)
    (_,), (mask,) = data.train.__getitems__([4])  # that of the sixth image
    assert mask.tolist() == np.asarray(Image.open(folder / "labels" / "train" / "06.png")).tolist()


def test_images_that_the_test_part_shares_are_named(tmp_path: Path) -> None:
    folder = masks_set(tmp_path / "masks")
    for kind in ("images", "labels"):
        shared = (folder / kind / "train" / "02.png").read_bytes()
        (folder / kind / "val" / "03.png").write_bytes(shared)
    (note,) = [note for note in masks_of(folder).notes if "also has" in note]
    assert "1 of 8 images of the test part" in note
    assert "03.png (= " in note


def test_images_that_were_changed_after_opening_are_named(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    data = boxes_of(folder, memory_limit=0)
    assert data.changes() == []
    (folder / "train" / "01.png").write_bytes(b"")
    (change,) = data.changes()
    assert change.startswith(str(folder / "train" / "01.png"))
    with pytest.raises(RequestError, match="changed after the set was opened"):
        data.train.__getitems__([0])


def test_crowds_alone_are_no_boxes(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    content = json.loads((folder / "val.json").read_text(encoding="utf-8"))
    for one in content["annotations"]:
        one["iscrowd"] = 1
    (folder / "val.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RequestError, match="the test part of boxes has no boxes"):
        boxes_of(folder)


def test_networks_are_tried_on_images_with_boxes_first(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    content = json.loads((folder / "val.json").read_text(encoding="utf-8"))
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in (6, 8)]
    (folder / "val.json").write_text(json.dumps(content), encoding="utf-8")
    data = boxes_of(folder)
    assert data.some_of(data.test, np.arange(8), 3).tolist() == [5, 7, 0]


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    folder = masks_set(tmp_path / "masks")
    for file in (folder / "images").rglob("*.png"):
        Image.open(file).convert("L").save(file)
    data = masks_of(folder)
    assert (data.channels, data.input_shape) == (1, (1, 64, 64))
    (image,), _ = data.train.__getitems__([0])
    assert image.tolist() == [np.asarray(Image.open(folder / "images" / "train" / "01.png")).tolist()]


def test_classes_in_another_order_are_refused(boxes: Path) -> None:
    data = boxes_of(boxes)
    assert data.with_classes(("red", "blue")) is data
    with pytest.raises(RequestError, match="the same classes in the same order"):
        data.with_classes(("blue", "red"))


def test_a_part_without_boxes_is_refused(tmp_path: Path) -> None:
    folder = boxes_set(tmp_path / "boxes")
    content = json.loads((folder / "val.json").read_text(encoding="utf-8"))
    content["annotations"] = []
    (folder / "val.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(RequestError, match="boxes"):
        boxes_of(folder)
