"""Keys of a study that belong to another task are refused, with what to do."""

from pathlib import Path
from typing import Any

import pytest

from dense_sets import boxes_set, masks_set
from foveate.errors import RequestError
from foveate.studies.spec.making import make_study


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of images with boxes, and one with masks."""
    root = tmp_path_factory.mktemp("sets")
    return {"boxes": boxes_set(root / "boxes"), "masks": masks_set(root / "masks")}


def refusal(data: str, settings: dict[str, Any], recipe: dict[str, Any]) -> str:
    settings = {"data": data, "backbone": "cifar_resnet8", "attention": "none,se"} | settings
    with pytest.raises(RequestError) as error:
        make_study(settings, recipe)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("boxes", {"upscale": True}, "upscale (--upscale) is for a classification, and this is a detection"),
        ("masks", {"image_column": "a"}, "image_column (--image-column) is for a classification"),
        ("boxes", {"label_column": "a"}, "label_column (--label-column) is for a classification"),
        ("boxes", {"ignored_label": 3}, "ignored_label (--ignored-label) is for a segmentation"),
        ("boxes", {"ignored_label": 0}, "ignored_label (--ignored-label) is for a segmentation"),
        ("boxes", {"class_names": "a.txt"}, "class_names (--class-names) is for a segmentation"),
        ("masks", {"refuse_invalid": True}, "refuse_invalid (--refuse-invalid) is for a detection"),
        ("boxes", {"norm": "frozen"}, "give --pretrained or --weights FILE, or --norm batch or group"),
        ("boxes", {"segmenter": "unet", "task": "detection"}, "a segmenter is for segmentation"),
        ("boxes", {"attention_in": "neck", "replace_own": True}, "leave out --replace-own"),
        ("boxes", {"attention_in": "neck", "attention": "none,se(stages=1)"}, "leave out stages, or give"),
    ],
)
def test_keys_of_other_tasks(kind: str, settings: dict, message: str, folders: dict[str, Path]) -> None:
    assert message in refusal(str(folders[kind]), settings, {})


@pytest.mark.parametrize(
    ("kind", "recipe", "message"),
    [
        ("boxes", {"loss": "dice"}, "loss = dice is for a segmentation, and this is a detection"),
        ("boxes", {"class_weights": "balanced"}, "class_weights = balanced is for a segmentation"),
        ("boxes", {"monitor": "loss"}, "give monitor=accuracy, which is mAP"),
        ("boxes", {"compile": True}, "give compile=false"),
        ("masks", {"label_smoothing": 0.1}, "label_smoothing = 0.1 is for a classification"),
    ],
)
def test_keys_of_recipes(kind: str, recipe: dict, message: str, folders: dict[str, Path]) -> None:
    assert message in refusal(str(folders[kind]), {}, recipe)


def test_the_task_is_found_and_its_keys_are_taken(folders: dict[str, Path]) -> None:
    common = {"backbone": "cifar_resnet8", "attention": "none,se(stages=1)"}
    boxes = make_study({"data": str(folders["boxes"]), "refuse_invalid": True, **common}, {})
    assert (boxes.task, boxes.dense and boxes.dense.name) == ("detection", "fasterrcnn")
    recipe = {"loss": "both", "class_weights": "balanced", "monitor": "loss", "compile": True}
    masks = make_study({"data": str(folders["masks"]), "ignored_label": 3, **common}, recipe)
    assert (masks.task, masks.dense and masks.dense.name) == ("segmentation", "deeplabv3plus")


def test_the_label_zero_is_kept_in_specs(folders: dict[str, Path]) -> None:
    settings = {"data": str(folders["masks"]), "backbone": "cifar_resnet8", "attention": "none,se"}
    study = make_study({**settings, "ignored_label": 0}, {})
    (run, *_) = study.runs("fingerprint")
    assert run.model_dump(mode="json")["data"]["ignored_label"] == 0
    assert type(run).model_validate_json(run.model_dump_json()).data.ignored_label == 0
    without = make_study(settings, {}).runs("fingerprint")[0]
    assert "ignored_label" not in without.model_dump(mode="json")["data"]
    assert run.id != without.id


@pytest.mark.parametrize("source", ["digits", "owner/name"])
def test_names_hold_no_boxes(source: str) -> None:
    assert f"data = {source}: a detection takes a folder of images with boxes" in refusal(
        source, {"detector": "fcos"}, {}
    )
