"""Networks from anywhere are looked through: scores by network, pictures, a record that resumes."""

import collections
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import foveate
from foveate.attention.explanations import EXPLANATIONS
from foveate.errors import RequestError
from foveate.inspection.examine import Work
from foveate.inspection.explain import scores as explain_scores
from foveate.inspection.explain.engine import explain
from foveate.inspection.explain.pictures import draw_tile
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.explain.sheets import Tile, draw_sheet, outlined
from foveate.inspection.explain.subjects import find_subjects
from foveate.inspection.find_trained import find_trained
from foveate.inspection.settings import OtherImages
from foveate.records.environment import Environment

pytest.importorskip("pytorch_grad_cam")

CLASSES = ("dark", "light")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A set of two classes, 16×16, with a box for each test image."""
    root = tmp_path_factory.mktemp("images") / "set"
    generator = np.random.default_rng(0)
    boxes = {}
    for part, count in (("train", 4), ("test", 6)):
        for label, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = generator.integers(0, 60, (16, 16, 3)) + 120 * label
                pixels[4:10, 5:12] += 60
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{k}.png")
                if part == "test":
                    boxes[f"test/{name}/{k}.png"] = [5, 4, 11, 9]
    (root / "boxes.json").write_text(json.dumps(boxes))
    return root


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> dict[str, str]:
    """Files of small networks, by mechanism."""
    folder = tmp_path_factory.mktemp("networks")
    files = {}
    for name in ("none", "se", "dmsca", "triplet"):
        torch.manual_seed(0)
        model = timm.create_model("cifar_resnet8", num_classes=2)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
        if name != "none":
            foveate.attach(model, name, **({"reduction": 8} if name != "triplet" else {}))
        preprocessing = {"input_size": (3, 16, 16), "mean": (0.4,) * 3, "std": (0.2,) * 3}
        preprocessing |= {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "center"}
        files[name] = str(folder / f"{name}.safetensors")
        foveate.save(model.eval(), files[name], classes=CLASSES, preprocessing=preprocessing)
    return files


class Run:
    """One request, its record, and its progress."""

    def __init__(
        self, sources: list[str], folder: Path, source: Path | OtherImages | None = None, **settings: object
    ) -> None:
        self.progress: list[tuple[str, float, int, str]] = []
        work = Work(
            find_trained(sources),
            folder,
            torch.device("cpu"),
            "",
            Environment(),
            lambda *progress: self.progress.append(progress),
        )
        settings = {"show": 2, "road": 2, "batch_size": 5} | settings
        others = source if isinstance(source, OtherImages) else OtherImages(data=source and str(source))
        path = explain(work, ExplainSettings(**settings), others)
        self.record = json.loads(path.read_text())


def test_every_network_is_scored_and_drawn(networks, images, tmp_path):
    run = Run(list(networks.values()), tmp_path, images, boxes=images / "boxes.json")
    record = run.record
    assert [row["label"] for row in record["rows"]] == list(networks)
    for row in record["rows"]:
        scores = row["scores"]
        assert set(scores) == {
            "focus_ratio",
            "pointing_game",
            "noise_suppression",
            "view_consistency",
            "class_consistency",
            "road",
        }
        counted = {name: score["n"] + score["undefined"] for name, score in scores.items()}
        assert counted == dict.fromkeys(scores, 12) | {"class_consistency": 2, "road": 2}
        assert 0 < scores["focus_ratio"]["mean"] < 1
        low, high = scores["focus_ratio"]["ci95"]
        assert low < scores["focus_ratio"]["mean"] < high
        assert row["layer"] == "layer3.0"
        assert row["key"]["backbone"] == "cifar_resnet8"
    assert record["data"] | {"fingerprint": ""} == {
        "about": "12 of the 12 images in set",
        "fingerprint": "",
        "images": 12,
        "with_object": 12,
        "left_out": 0,
    }
    assert record["rows"][2]["learned"]["layer1.0"]["tau"] == pytest.approx(1.0)
    files = [picture["file"] for picture in record["pictures"]]
    assert files == [f"explain/{name}.png" for name in ("grid", "maps_se", "maps_dmsca", "maps_triplet")]
    assert "A_c, F_multi, F_h, F_w, A_dir, w₀, w₁, α" in record["pictures"][2]["description"]
    assert "meanings" not in record["pictures"][0]
    meanings = record["pictures"][2]["meanings"]
    assert [*meanings] == ["τ", "A_c", "F_multi", "F_h", "F_w", "A_dir", "w₀", "w₁", "α"]
    assert meanings["A_dir"] == EXPLANATIONS["dmsca"]["A_dir"]
    for file in files:
        with Image.open(tmp_path / file) as picture:
            assert picture.width > 300
    assert run.progress[0] == ("maps", 0, 4, "baseline")
    assert run.progress[-1] == ("maps", 4, 4, "triplet")


def test_a_map_that_hardly_varies_is_grey_with_its_value_in_words():
    noise = torch.tensor([[[[0.4985, 0.5015], [0.5, 0.5]]]])
    tile = draw_tile(noise, 90)
    assert tile.lines == ("0.5 everywhere",)
    assert len(np.unique(tile.picture.reshape(-1, 3), axis=0)) == 1
    varied = draw_tile(noise * torch.tensor([[1.0, 1.1], [1.0, 1.0]]), 90)
    assert len(np.unique(varied.picture.reshape(-1, 3), axis=0)) > 1
    assert draw_tile(noise.flatten().reshape(1, 4, 1, 1), 90).lines == ("0.5 everywhere",)


def test_it_goes_on_where_it_stopped_and_measures_anew_what_is_other(networks, images, tmp_path):
    sources = [networks["none"], networks["se"]]
    first = Run(sources[:1], tmp_path, images).record
    run = Run(sources, tmp_path, images)
    assert {(total, detail) for _, _, total, detail in run.progress} == {(2, "se")}
    assert all(done >= 1 for _, done, _, _ in run.progress)
    assert run.record["rows"][0] == first["rows"][0]
    assert Run(sources, tmp_path, images).progress == []
    assert Run(sources[:1], tmp_path, images, method="gradcam").progress != []
    assert Run(sources[:1], tmp_path, images, limit=4).progress != []
    assert Run(sources[:1], tmp_path, images, boxes=images / "boxes.json").progress != []


def test_without_objects_the_scores_that_need_none_remain(networks, images, tmp_path):
    record = Run([networks["none"]], tmp_path, images, limit=4, road=0).record
    assert set(record["rows"][0]["scores"]) == {"view_consistency", "class_consistency"}
    assert record["data"]["about"] == "4 of the 12 test images of set"


def test_maps_of_nothing_are_counted_as_undefined(networks, images, tmp_path):
    model = foveate.load(networks["none"])
    nn.init.zeros_(model.fc.weight)
    foveate.save(model, tmp_path / "dead.safetensors")
    record = Run([str(tmp_path / "dead.safetensors")], tmp_path, images, boxes=images / "boxes.json").record
    scores = record["rows"][0]["scores"]
    for name in ("focus_ratio", "pointing_game", "view_consistency"):
        assert (scores[name]["mean"], scores[name]["n"], scores[name]["undefined"]) == (None, 0, 12)
    assert (scores["noise_suppression"]["mean"], scores["noise_suppression"]["undefined"]) == (None, 12)
    assert scores["road"]["mean"] == pytest.approx(0.0)


def test_a_map_of_nothing_is_not_in_the_noise_suppression_but_counted():
    maps, objects = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4, dtype=torch.bool)
    objects[:, :2] = True
    maps[1:, :2], maps[1:, 2:] = 1.0, 0.5
    values, energy = collections.defaultdict(list), collections.defaultdict(list)
    explain_scores.score_objects(values, energy, maps, objects)
    ratio = explain_scores._noise_suppression(energy["outside"], energy["inside"])
    assert ratio.mean == pytest.approx(0.5)
    assert (ratio.n, ratio.undefined) == (2, 1)


def test_pictures_of_an_earlier_request_are_removed_and_others_stay(networks, images, tmp_path):
    Run([networks["none"], networks["se"]], tmp_path, images, limit=2, road=0)
    (tmp_path / "explain" / "mine.png").touch()
    Run([networks["none"]], tmp_path, images, limit=2, road=0)
    assert {file.name for file in (tmp_path / "explain").iterdir()} == {"grid.png", "mine.png"}


def test_every_region_that_does_not_fit_is_in_the_record(networks, images, tmp_path):
    boxes = json.loads((images / "boxes.json").read_text())
    boxes |= {f"test/dark/none{k}.png": [0, 0, 1, 1] for k in range(30)}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    record = Run([networks["none"]], tmp_path, images, boxes=tmp_path / "boxes.json", road=0).record
    assert record["data"]["left_out"] == len(record["left_out"]) == 30


def test_networks_of_other_classes_are_not_compared(networks, images, tmp_path):
    model = foveate.load(networks["se"])
    preprocessing = {"input_size": (3, 16, 16), "mean": (0.4,) * 3, "std": (0.2,) * 3}
    preprocessing |= {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "center"}
    turned, numbered = str(tmp_path / "turned.safetensors"), str(tmp_path / "numbered.safetensors")
    foveate.save(model, turned, classes=CLASSES[::-1], preprocessing=preprocessing)
    with pytest.raises(RequestError, match="turned knows 2 classes"):
        Run([networks["none"], turned], tmp_path / "out", images=images / "test")
    foveate.save(model, numbered, preprocessing=preprocessing)
    record = Run([numbered, networks["none"]], tmp_path / "out", images=images / "test", road=0).record
    assert ["class_consistency" in row["scores"] for row in record["rows"]] == [True, True]


def test_images_and_data_are_not_both_given(networks, images, tmp_path):
    with pytest.raises(RequestError, match=r"--images .*test and --data .*set both say which images"):
        Run([networks["none"]], tmp_path / "out", images, images=images / "test")


def test_columns_of_a_table_of_labels_are_those_that_are_given(networks, images, tmp_path):
    root = tmp_path / "listed"
    (root / "photos").mkdir(parents=True)
    rows, boxes = ["path,split,parity,tone"], {}
    for number, path in enumerate(sorted(images.rglob("*.png"))):
        part, tone, _ = path.relative_to(images).parts
        shutil.copy(path, root / "photos" / f"{number}.png")
        rows.append(f"photos/{number}.png,{part},{number % 2},{tone}")
        if part == "test":
            boxes[f"photos/{number}.png"] = [5, 4, 11, 9]
    (root / "labels.csv").write_text("\n".join(rows))
    (root / "boxes.json").write_text(json.dumps(boxes))
    with pytest.raises(RequestError, match="name it with --label-column"):
        Run([networks["none"]], tmp_path / "out", root, boxes=root / "boxes.json", road=0)
    others = OtherImages(data=str(root), label_column="tone")
    for objects in (0, 12):
        settings = {"boxes": root / "boxes.json"} if objects else {}
        record = Run([networks["none"]], tmp_path / "out", others, road=0, **settings).record
        assert record["data"]["images"] == 12
        assert record["data"]["with_object"] == objects


@pytest.mark.parametrize("part", ["train", "test"])
def test_objects_in_a_set_without_a_part_for_testing_are_refused(networks, images, tmp_path, part):
    """A share of it was trained on, and nobody knows here which."""
    shutil.copytree(images / part, tmp_path / "flat")
    shutil.copytree(images / part, tmp_path / "part" / part)
    for root, start in ((tmp_path / "flat", ""), (tmp_path / "part", f"{part}/")):
        boxes = tmp_path / "boxes.json"
        boxes.write_text(json.dumps({f"{start}dark/0.png": [5, 4, 11, 9]}))
        with pytest.raises(RequestError, match=r"no part called test or val .* give the folder .* --images"):
            Run([networks["none"]], tmp_path / "out", root, boxes=boxes)
        record = Run([networks["none"]], tmp_path / "out", images=root, boxes=boxes, road=0).record
        assert record["data"]["with_object"] == 1


def test_objects_in_a_set_without_image_files_are_refused_before_it_is_opened(networks, images, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "train.parquet").write_bytes(b"never read")
    with pytest.raises(RequestError, match="the images of .*tables are in no folder"):
        Run([networks["none"]], tmp_path / "out", tmp_path / "tables", boxes=images / "boxes.json")
    with pytest.raises(RequestError, match="does not say which images it is for: give --data"):
        Run([networks["none"]], tmp_path / "out", boxes=images / "boxes.json")


def test_images_that_are_replaced_in_place_are_other_images(networks, tmp_path):
    trained, settings = find_trained([networks["none"]]), ExplainSettings(images=tmp_path / "any")
    (tmp_path / "any").mkdir()
    fingerprints = set()
    for level in (10, 20, 20):
        Image.new("RGB", (16, 16), (level,) * 3).save(tmp_path / "any/0.bmp")
        fingerprints.add(find_subjects(trained, settings, OtherImages()).fingerprint)
    assert len(fingerprints) == 2


def test_a_folder_of_any_images_with_masks(networks, tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "any").mkdir()
    (tmp_path / "masks").mkdir()
    for name, size in (("a", (20, 40)), ("b", (30, 30)), ("c", (30, 30))):
        Image.fromarray(generator.integers(0, 256, (*size, 3)).astype(np.uint8)).save(
            tmp_path / "any" / f"{name}.png"
        )
        mask = np.zeros(size, np.uint8)
        mask[size[0] // 2 :] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    Image.new("L", (9, 9), 255).save(tmp_path / "masks" / "c.png")  # of another size
    Image.new("L", (9, 9), 255).save(tmp_path / "masks" / "d.png")  # of no image
    (tmp_path / "any" / "words.png").write_text("no image")
    record = Run([networks["se"]], tmp_path / "out", images=tmp_path / "any", masks=tmp_path / "masks").record
    scores = record["rows"][0]["scores"]
    assert scores["focus_ratio"]["n"] + scores["focus_ratio"]["undefined"] == 2
    assert scores["view_consistency"]["n"] + scores["view_consistency"]["undefined"] == 3
    assert "class_consistency" not in scores
    assert record["data"]["left_out"] == len(record["left_out"]) == 3
    assert record["left_out"][0] == "words.png: it is not an image of a known format"
    assert "d.png: it has a box or a mask, and is none of these images" in record["left_out"][1]
    assert record["left_out"][2] == "c.png: its mask c.png has 9×9 pixels and the image has 30×30"


def test_a_network_without_such_a_layer_is_left_out_by_name(networks, images, tmp_path):
    sources = [networks["none"], networks["se"]]
    record = Run(sources, tmp_path, images, layer="layer3.0.bn2.attention").record
    assert [row["label"] for row in record["rows"]] == ["se"]
    (said,) = record["left_out"]
    assert said.startswith("none (baseline): unknown layer of CifarResNet 'layer3.0.bn2.attention'")


def test_a_layer_that_no_network_has_is_refused_and_leaves_nothing(networks, images, tmp_path):
    with pytest.raises(RequestError, match="unknown layer of CifarResNet 'layer9'"):
        Run([networks["none"], networks["se"]], tmp_path, images, layer="layer9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "cam"}, "unknown method 'cam'"),
        ({"limit": 0}, "--limit must be a whole number of at least 1, got 0"),
        ({"road": -1}, "--road must be a whole number of at least 0, got -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(networks, images, tmp_path, settings, said):
    with pytest.raises(RequestError, match=said):
        Run([networks["none"]], tmp_path, images, **settings)
    assert not (tmp_path / "explain.json").exists()


def test_boxes_of_other_images_are_refused(networks, images, tmp_path):
    (tmp_path / "boxes.json").write_text('{"elsewhere.png": [0, 0, 1, 1], "train/dark/0.png": [0, 0, 1, 1]}')
    with pytest.raises(RequestError, match=r"name none of the held-out images .* such as 'test/dark/0.png'"):
        Run([networks["none"]], tmp_path / "out", images, boxes=tmp_path / "boxes.json")
    with pytest.raises(RequestError, match="the images of digits are in no folder"):
        digits = tmp_path / "digits.safetensors"
        model = timm.create_model("cifar_resnet8", num_classes=10, in_chans=1)
        preprocessing = {"input_size": (1, 8, 8), "mean": (0.4,), "std": (0.2,)}
        preprocessing |= {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "center"}
        foveate.save(model, digits, preprocessing=preprocessing)
        Run([str(digits)], tmp_path / "out", Path("digits"), boxes=images / "boxes.json")


def test_a_sheet_has_its_tiles_where_they_belong():
    red, blue = (np.full((2, 2, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    sheet = np.asarray(
        draw_sheet(["a", "b"], [("one\nline", [Tile(red, ("x",)), Tile(blue)]), ("", [Tile(None)])])
    )
    reds, blues = ((sheet == colour).all(axis=2) for colour in ((255, 0, 0), (0, 0, 255)))
    assert reds.sum() == blues.sum() == 156**2
    assert np.flatnonzero(reds.any(axis=0)).max() < np.flatnonzero(blues.any(axis=0)).min()
    assert (sheet[0] == 255).all()


def test_the_object_is_outlined_and_not_covered():
    picture, inside = np.full((32, 32, 3), 90, np.uint8), np.zeros((8, 8), dtype=bool)
    inside[2:6, 2:6] = True
    changed = (outlined(picture, inside) != 90).any(axis=2)
    assert changed[8, 8:24].all()
    assert not changed[12:20, 12:20].any()
    assert not changed[:8].any()


def test_images_whose_names_cannot_be_printed_are_drawn_and_recorded(networks, tmp_path):
    (tmp_path / "any").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    for name in (os.fsdecode(b"caf\xe9.png"), "a\x1b[31m\x01.png"):
        Image.fromarray(pixels).save(tmp_path / "any" / name)
    (tmp_path / "any" / os.fsdecode(b"\xe9.png")).touch()
    record = Run([networks["se"]], tmp_path / "out", images=tmp_path / "any").record
    assert record["data"]["images"] == 2
    assert record["left_out"] == ["\udce9.png: it is empty"]


def test_the_object_of_masks_with_several_values_is_named_and_recorded(networks, tmp_path):
    (tmp_path / "any").mkdir()
    (tmp_path / "masks").mkdir()
    trimap = np.full((20, 20), 2, np.uint8)
    trimap[4:16, 4:16] = 3
    trimap[5:15, 5:15] = 1
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "any" / "a.png")
    Image.fromarray(trimap).save(tmp_path / "masks" / "a.png")
    asked = {"images": tmp_path / "any", "masks": tmp_path / "masks"}
    with pytest.raises(RequestError, match=r"values 1 \(25.0 %\), 2 \(64.0 %\), 3 \(11.0 %\)"):
        Run([networks["se"]], tmp_path / "out", **asked)
    record = Run([networks["se"]], tmp_path / "out", **asked, mask_object="1").record
    assert record["data"]["with_object"] == 1
    assert record["warnings"] == [
        "In the masks 1 is the object, 25 % of their pixels (change this with --mask-object)."
    ]
    other = Run([networks["se"]], tmp_path / "out", **asked, mask_object="1,3").record
    assert other["data"]["fingerprint"] != record["data"]["fingerprint"]
