"""truth.json: true boxes that anyone can evaluate detections against."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from coco_images import CATEGORIES, CLASSES, make_images
from foveate.errors import RequestError
from foveate.evaluation.detection import detection_scores
from foveate.evaluation.matching import match_detections
from foveate.evaluation.precision_recall import precision_at_recalls
from foveate.records.detections import DETECTIONS, keep_detections, read_detections, write_detections
from foveate.records.truth import TRUTH, Truth, read_truth, write_truth

IDS = tuple(range(100, 142, 3))


def write_both(folder: Path, seed: int) -> Truth:
    detections, boxes = make_images(seed)
    names = tuple(f"part/{identity}.jpg" for identity in IDS)
    truth = Truth(IDS, names, ((480, 640),) * len(IDS), tuple(boxes), CATEGORIES, CLASSES)
    write_truth(folder, truth)
    write_detections(folder, detections, IDS, CATEGORIES)
    return truth


@pytest.mark.parametrize("seed", [0, 1])
def test_pycocotools_gets_the_metrics_of_a_run_from_its_two_files(tmp_path: Path, seed: int) -> None:
    detections, boxes = make_images(seed)
    write_both(tmp_path, seed)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / TRUTH))
        evaluation = COCOeval(truth, truth.loadRes(str(tmp_path / DETECTIONS)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    scores = detection_scores(detections, boxes, CLASSES)
    expected = [scores.map, scores.map50, scores.map75, scores.map_small, scores.map_medium, scores.map_large]
    assert evaluation.stats[:6] == pytest.approx(expected, abs=1e-6)
    assert truth.loadImgs(100)[0] == {"id": 100, "file_name": "part/100.jpg", "height": 480, "width": 640}
    # The curves of the page are its precision, averaged over the classes that have boxes.
    matches = match_detections("run", detections, boxes, len(CLASSES))
    for iou, place in ((0.5, 0), (0.75, 5)):
        theirs = evaluation.eval["precision"][place, :, :, 0, -1]
        ours = precision_at_recalls(matches, iou)
        assert ours == pytest.approx(theirs[:, theirs[0] >= 0].mean(axis=1), abs=1e-6)


def test_both_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    detections, _ = make_images(0)
    written = write_both(tmp_path, 0)
    read = read_truth(tmp_path)
    assert read is not None
    assert (read.ids, read.names, read.sizes) == (written.ids, written.names, written.sizes)
    assert (read.categories, read.classes) == (CATEGORIES, CLASSES)
    for ours, theirs in zip(read.boxes, written.boxes, strict=True):
        for name in ("boxes", "labels", "areas", "crowd"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), name
    found = read_detections(tmp_path, IDS, CATEGORIES, 0.5)
    assert found is not None
    for ours, of_image in zip(found, detections, strict=True):
        kept = keep_detections(of_image)
        is_sure = kept.scores >= 0.5
        assert np.array_equal(ours.bbox, kept.bbox[is_sure])
        assert np.array_equal(ours.labels, kept.labels[is_sure])


def test_no_file_is_none_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    assert read_truth(tmp_path) is None
    assert read_detections(tmp_path, IDS, CATEGORIES) is None
    write_both(tmp_path, 0)
    with pytest.raises(RequestError, match=r"detections\.json is not a valid record"):
        read_detections(tmp_path, IDS[:2], CATEGORIES)
    text = (tmp_path / TRUTH).read_text(encoding="utf-8")
    (tmp_path / TRUTH).write_text(text.replace('"category_id": 3', '"category_id": 4'), encoding="utf-8")
    with pytest.raises(RequestError, match=r"truth\.json is not a valid record"):
        read_truth(tmp_path)
