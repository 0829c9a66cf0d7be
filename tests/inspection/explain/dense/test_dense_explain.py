"""Detectors and segmenters that were trained here are explained on objects that are known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dense_sets import boxes_set, masks_set
from foveate.data.dense.targets import BoxTargets
from foveate.errors import RequestError
from foveate.evaluation.cam import evidence_maps
from foveate.inspection.examine import Work
from foveate.inspection.explain.built import BuiltNetwork, build_network
from foveate.inspection.explain.dense import detection
from foveate.inspection.explain.dense.detection import DetectedObjects, best_match, largest, pixels_inside
from foveate.inspection.explain.dense.images import DenseImages
from foveate.inspection.explain.dense.objects import Finding
from foveate.inspection.explain.dense.segmentation import SegmentedObjects, choose_classes
from foveate.inspection.explain.engine import explain
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.find_trained import find_trained
from foveate.inspection.settings import OtherImages
from foveate.records.environment import Environment
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.making import make_study

pytest.importorskip("pytorch_grad_cam")
pytest.importorskip("segmentation_models_pytorch")
pytest.importorskip("faster_coco_eval")

DETECTOR = (
    "fasterrcnn(fpn_channels=32,representation_size=64,box_batch_size_per_image=32,"
    "rpn_post_nms_top_n_train=50,rpn_post_nms_top_n_test=50,rpn_pre_nms_top_n_train=100,"
    "rpn_pre_nms_top_n_test=100,anchor_scale=1.0,box_score_thresh=0.001)"
)


def train(root: Path, epochs: int, **settings: object) -> Path:
    asked = {"backbone": "cifar_resnet8", "attention": "none,se", "image_size": 64} | settings
    compare(make_study(asked, {"epochs": epochs, "batch_size": 4}), root / "study", Machine("cpu"))
    return root / "study"


@pytest.fixture(scope="module")
def detectors(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("boxes")
    return train(root, 2, data=str(boxes_set(root / "set")), detector=DETECTOR, seeds=1)


@pytest.fixture(scope="module")
def segmenters(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    return train(root, 2, data=str(masks_set(root / "set")), segmenter="unet", seeds=2)


class Run:
    """One request: its record, its images, and what was measured."""

    def __init__(self, study: Path, folder: Path, **settings: object) -> None:
        self.measured: list[str] = []
        work = Work(
            find_trained([str(study)]),
            folder,
            torch.device("cpu"),
            "",
            Environment(),
            lambda what, done, total, title: self.measured.append(title),
        )
        path = explain(work, ExplainSettings(**({"show": 2} | settings)), OtherImages())
        self.record = json.loads(path.read_text())


def opened(study: Path, **settings: object) -> tuple[DenseImages, list[BuiltNetwork]]:
    trained = find_trained([str(study)])
    images = DenseImages(trained, ExplainSettings(**settings), OtherImages())
    return images, [build_network(one, None, images.example, torch.device("cpu")) for one in trained]


def test_detectors_are_scored_on_the_objects_that_they_find_and_drawn(detectors, tmp_path):
    record = Run(detectors, tmp_path).record
    assert [row["label"] for row in record["rows"]] == ["none", "se"]
    assert record["settings"]["task"] == "detection"
    assert record["settings"]["method"] == "hirescam"
    assert (record["data"]["images"], record["data"]["with_object"]) == (8, 8)
    for row in record["rows"]:
        assert set(row["scores"]) == {"focus_ratio", "pointing_game", "noise_suppression"}
        assert row["layer"] == "backbone.body.layer3.0"
        assert row["found"] > 0
        for score in row["scores"].values():
            assert score["n"] + score["undefined"] == 8
            assert score["n"] <= row["found"]
    assert [picture["file"] for picture in record["pictures"]] == ["explain/grid.png", "explain/maps_se.png"]
    with Image.open(tmp_path / "explain" / "grid.png") as grid:
        assert grid.width > 3 * 200
        assert grid.height > 4 * 200  # two rows for each of two images


def test_segmenters_are_scored_on_the_mask_of_a_class(segmenters, tmp_path):
    record = Run(segmenters, tmp_path).record
    assert len(record["rows"]) == 4
    for row in record["rows"]:
        assert set(row["scores"]) == {"focus_ratio", "pointing_game", "noise_suppression"}
        assert row["layer"] == "encoder.model.layer3.0"
        assert "found" not in row
    assert record["settings"]["task"] == "segmentation"
    assert record["settings"]["method"] == "gradcam"


def test_what_was_measured_is_not_measured_again(segmenters, tmp_path):
    assert Run(segmenters, tmp_path, limit=2, show=1).measured != []
    assert Run(segmenters, tmp_path, limit=2, show=1, road=7, batch_size=3).measured == []
    assert Run(segmenters, tmp_path, limit=2, show=1, method="gradcam++").measured != []
    assert Run(segmenters, tmp_path, limit=3, show=1).measured != []


@pytest.mark.parametrize("method", ["hirescam", "gradcam", "gradcam++", "eigencam"])
def test_maps_of_detections_have_the_size_of_the_image_and_lie_where_the_object_is(detectors, method):
    images, (built, _) = opened(detectors)
    found = []
    for number in range(len(images)):
        image, known = images.subjects.load(number, images.task)
        wide = torch.nn.functional.pad(image, (0, 13), value=0.5)  # the detector pads it to another size
        finding = images.task.explain(built, wide, images.task.known(wide, known.target, known.label), method)
        assert finding.map.shape == wide.shape[1:]
        assert float(finding.map.max()) in (0.0, 1.0)
        assert finding.found or float(finding.map.max()) == 0.0
        found.append(finding.found)
    assert any(found)


def test_a_map_of_a_detection_is_that_of_the_equation(detectors):
    """Σ_k relu(A_k ∘ ∂s/∂A_k) of HiResCAM, of a detection that is chosen by hand."""
    images, (built, _) = opened(detectors)
    for number in range(len(images)):
        image, known = images.subjects.load(number, images.task)
        finding = images.task.explain(built, image, known, "hirescam")
        if finding.found and finding.map.max() > 0:
            break
    kept = []

    def keep(module, arguments, output):
        kept.append(output.detach().requires_grad_())
        return kept[0]

    handle = built.network.get_submodule(built.layer).register_forward_hook(keep)
    output = built.network([image])[0]
    handle.remove()
    x0, y0, x1, y1 = known.box.tolist()
    best = None
    for place, (a0, b0, a1, b1) in enumerate(output["boxes"].tolist()):  # by falling score
        shared = max(min(x1, a1) - max(x0, a0), 0) * max(min(y1, b1) - max(y0, b0), 0)
        either = (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - shared
        if best is None and output["labels"][place] == known.label + 1 and shared >= 0.5 * either:
            best = place
    assert finding.score == pytest.approx(float(output["scores"][best].detach()))
    (gradient,) = torch.autograd.grad(output["scores"][best], kept[0])
    expected = (gradient * kept[0]).sum(dim=1, keepdim=True).relu().detach()
    expected = torch.nn.functional.interpolate(expected, image.shape[1:], mode="bilinear")[0, 0]
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    torch.testing.assert_close(finding.map, expected, atol=2e-3, rtol=1e-3)


def test_maps_of_masks_are_those_of_the_mean_logit_of_the_class(segmenters):
    images, (built, *_) = opened(segmenters)
    image, known = images.subjects.load(3, images.task)
    cut = image[:, :50, :40]  # padded to 64×64, which the map must not show
    known = images.task.known(cut, known.target[:50, :40], int(known.target[:50, :40].max()))
    finding = images.task.explain(built, cut, known, "gradcam")
    assert finding.map.shape == (50, 40)
    assert float(finding.map.max()) == 1.0
    padded = torch.zeros(1, 3, 64, 64)
    padded[:, :, :50, :40] = built.prepare(cut)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[:50, :40] = known.inside
    maps, logits = evidence_maps(
        built.network, built.layer, padded, [lambda one: one[known.label][inside].sum()], "gradcam"
    )
    torch.testing.assert_close(finding.map, maps[0, :50, :40] / maps[0, :50, :40].max(), atol=1e-4, rtol=1e-3)
    named, there = logits[0, :, :50, :40].argmax(dim=0) == known.label, known.inside
    assert finding.score == pytest.approx(int((named & there).sum()) / int((named | there).sum()))


def test_all_mechanisms_are_asked_for_the_same_object(detectors, monkeypatch):
    images, networks = opened(detectors, show=3)
    asked: list[list[tuple[int, list[float]]]] = []
    original = DetectedObjects.explain

    def explain_and_note(self, built, image, known, method):
        asked[-1].append((known.label, known.box.tolist()))
        return original(self, built, image, known, method)

    monkeypatch.setattr(detection.DetectedObjects, "explain", explain_and_note)
    for built in networks:
        asked.append([])
        images.score(built, lambda done: None)
        images.add_column(built)
    assert len(asked[0]) == 8 + 3
    assert asked[0] == asked[1]


class Marked(DetectedObjects):
    """Finds each object but the first with a map of 1 in the upper left quarter of the image."""

    def __init__(self) -> None:
        self.number = -1

    def explain(self, built, image, known, method):
        self.number += 1
        map_ = torch.zeros(image.shape[1:])
        map_[:32, :32] = float(self.number > 0)
        return Finding(map_, self.number > 0, None, None)


def test_scores_are_those_of_the_maps_and_of_the_boxes(detectors):
    images, (built, _) = opened(detectors)
    images.task = Marked()
    measured = images.score(built, lambda done: None)
    annotated = json.loads((detectors.parent / "set" / "val.json").read_text())["annotations"]
    inside, shares = [], []
    for number in range(2, 9):
        boxes = [one["bbox"] for one in annotated if one["image_id"] == number]
        x, y, width, height = max(boxes, key=lambda box: box[2] * box[3])
        mask = np.zeros((64, 64), bool)
        mask[y : y + height, x : x + width] = True
        inside.append((mask[:32, :32].sum() / mask.sum(), (1024 - mask[:32, :32].sum()) / (~mask).sum()))
        shares.append(mask[:32, :32].sum() / 1024)
    assert measured.found == 7
    focus, noise = measured.scores["focus_ratio"], measured.scores["noise_suppression"]
    assert (focus.n, focus.undefined) == (7, 1)
    assert focus.mean == pytest.approx(np.mean(shares))
    assert noise.mean == pytest.approx(
        np.mean([outside for _, outside in inside]) / np.mean([own for own, _ in inside])
    )


def test_the_largest_object_that_is_no_crowd_is_chosen():
    boxes = torch.tensor([[0.0, 0, 50, 50], [0, 0, 10, 20], [5, 5, 25, 15], [3, 3, 3, 9]])
    crowd = torch.tensor([True, False, False, False])
    labels = torch.zeros(4, dtype=torch.int64)
    assert largest(BoxTargets(boxes, labels, crowd, torch.ones(4))) == 1
    assert largest(BoxTargets(boxes, labels, crowd | True, torch.ones(4))) is None
    none = BoxTargets(boxes[:0], labels[:0], crowd[:0], torch.ones(0))
    assert largest(none) is None


def test_the_best_detection_overlaps_and_has_the_class():
    output = {
        "boxes": torch.tensor([[30.0, 0, 40, 10], [0, 0, 10, 6], [0, 0, 10, 10], [0, 0, 10, 10]]),
        "labels": torch.tensor([1, 1, 2, 1]),
        "scores": torch.tensor([0.9, 0.6, 0.8, 0.5]),
    }
    assert best_match(output, torch.tensor([0.0, 0, 10, 10]), 0) == 1
    assert best_match(output, torch.tensor([0.0, 0, 10, 10]), 1) == 2
    assert best_match(output, torch.tensor([0.0, 20, 10, 30]), 0) is None
    assert best_match({name: one[:0] for name, one in output.items()}, torch.ones(4), 0) is None


def test_pixels_belong_to_a_box_by_their_centres():
    inside = pixels_inside(torch.tensor([1.0, 0.6, 3.4, 2.0]), 4, 5)
    assert inside.nonzero().tolist() == [[1, 1], [1, 2]]
    assert pixels_inside(torch.tensor([2.6, 1.6, 2.8, 1.9]), 4, 5).nonzero().tolist() == [[1, 2]]


def test_the_class_of_an_image_is_its_most_frequent_but_for_that_of_the_set():
    counts = np.array([[90, 5, 5], [50, 0, 50], [100, 0, 0], [0, 0, 0], [10, 80, 10]])
    assert choose_classes(counts).tolist() == [1, 2, 0, -1, 1]


def test_images_without_an_object_are_named_and_not_scored(detectors, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(detectors.parent / "set", root)
    content = json.loads((root / "val.json").read_text())
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] > 3]
    (root / "val.json").write_text(json.dumps(content))
    trained = find_trained([str(detectors)])
    images = DenseImages(trained, ExplainSettings(limit=4), OtherImages(data=str(root)))
    assert images.subjects.about == "4 of the 8 test images (3 of which have no object) of set"
    assert min(images.subjects.rows) >= 3


@pytest.mark.parametrize(
    ("settings", "others", "named"),
    [
        ({"images": Path("photos")}, {}, "--images is for networks that classify"),
        ({"boxes": Path("boxes.json")}, {}, "--boxes is for networks that classify"),
        ({"mask_object": "1"}, {}, "--mask-object is for networks that classify"),
        ({}, {"data": "set", "label_column": "label"}, "--label-column are for networks that classify"),
    ],
)
def test_settings_of_classification_are_refused(segmenters, settings, others, named):
    with pytest.raises(RequestError, match=named):
        DenseImages(find_trained([str(segmenters)]), ExplainSettings(**settings), OtherImages(**others))


@pytest.mark.parametrize(
    "command",
    [["explain", "--gates"], ["transfer", "--to", "digits"], ["look"]],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_for_classification_say_so(segmenters, tmp_path, in_process, capsys, command):
    if command[0] == "look":
        pytest.importorskip("gradio")
    name, *flags = command
    assert in_process(name, str(segmenters), *flags, folder=tmp_path) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "is for networks that classify" in said
    assert "is for segmentation" in said


def test_the_command_line_prints_what_the_maps_explain(detectors, tmp_path, in_process, capsys):
    out = tmp_path / "out"
    flags = ["--limit", "2", "--show", "1", "--method", "eigencam", "--out", str(out)]
    assert in_process("explain", str(detectors), *flags, folder=tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Maps are those of Eigen-CAM" in said
    assert "for the best detection of the largest annotated object of each image" in said
    assert "of 2" in said  # the objects that are found
    page = (out / "report" / "index.html").read_text()
    assert "Objects found" in page
    assert (out / "explain" / "grid.png").is_file()


def test_own_maps_are_drawn_on_the_image_as_the_network_gets_it(segmenters):
    images, (built, *_) = opened(segmenters)
    seen = SegmentedObjects().seen(built, images.subjects.load(0, images.task)[0][:, :50, :40])
    assert seen.prepared.shape == (1, 3, 64, 64)
    assert seen.picture.shape == (3, 64, 64)
