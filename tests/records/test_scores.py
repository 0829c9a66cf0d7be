"""Scores of test images: what is kept, how exactly, and what is no such file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from foveate.errors import RequestError
from foveate.records.file_names import RUNS
from foveate.records.scores import SCORES, read_scores, write_scores
from foveate.studies.engine.folder import find_result
from foveate.tasks.classification import image_scores

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1e5, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 1])


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    write_scores(tmp_path, image_scores("abc", LOGITS, LABELS))
    found = read_scores(tmp_path)
    assert found is not None
    assert found.run == "abc"
    assert found.predicted.tolist() == [0, 2, 0]
    assert found.correct.tolist() == [True, False, False]
    assert found.label is not None
    assert found.label.tolist() == LABELS.tolist()
    e = np.e
    np.testing.assert_allclose(found.confidence, [e**2 / (e**2 + 2), e / (e + 2), 1], rtol=1e-3)
    np.testing.assert_allclose(found.loss, [np.log(1 + 2 / e**2), np.log(e + 2), 65504], rtol=1e-3)
    assert [column.dtype for column in (found.predicted, found.confidence, found.loss)] == [
        np.int16,
        np.float16,
        np.float16,
    ]


def test_ten_thousand_images_take_ninety_kilobytes(tmp_path: Path) -> None:
    write_scores(tmp_path, image_scores("abc", torch.randn(10_000, 10), torch.zeros(10_000).long()))
    assert (tmp_path / SCORES).stat().st_size < 91_000


def test_a_file_without_classes_is_read(tmp_path: Path) -> None:
    scores = image_scores("abc", LOGITS, LABELS)
    write_scores(tmp_path, replace(scores, label=None))
    found = read_scores(tmp_path)
    assert found is not None
    assert found.label is None
    assert found.predicted.tolist() == [0, 2, 0]


def test_a_run_has_the_scores_of_its_result(trained_bands: Path) -> None:
    folders = sorted((trained_bands / RUNS).iterdir())
    assert len(folders) == 4
    for folder in folders:
        scores, result = read_scores(folder), find_result(folder)
        assert scores is not None
        assert result is not None
        assert scores.run == result.id
        assert scores.correct.mean() == pytest.approx(result.test.accuracy)
        assert scores.loss.mean() == pytest.approx(result.test.loss, rel=2e-3)
        assert len(scores.correct) == result.data.test


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": np.array([0, np.nan, 1], np.float16)},
        {"confidence": np.array([0.5, np.nan, 1], np.float16)},
        {"confidence": np.array([0.5, 1.5, 1], np.float16)},
        {"predicted": np.array([0, -3, 1], np.int16)},
    ],
    ids=str,
)
def test_impossible_scores_are_refused(tmp_path: Path, changed: dict[str, np.ndarray]) -> None:
    scores = replace(image_scores("abc", LOGITS, LABELS), **changed)
    write_scores(tmp_path, scores)
    with pytest.raises(RequestError, match="has impossible scores"):
        read_scores(tmp_path)


@pytest.mark.parametrize("shape", [(), (3, 1)])
def test_scores_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    scores = image_scores("abc", LOGITS, LABELS)
    columns = ("predicted", "correct", "confidence", "loss", "label")
    reshaped = {name: np.resize(getattr(scores, name), shape) for name in columns}
    write_scores(tmp_path, replace(scores, **reshaped))
    with pytest.raises(RequestError, match="not written by this version"):
        read_scores(tmp_path)


def test_no_file_is_none_and_another_file_is_refused(tmp_path: Path) -> None:
    assert read_scores(tmp_path) is None
    (tmp_path / SCORES).write_bytes(b"no tensors")
    with pytest.raises(RequestError, match="holds no scores of test images"):
        read_scores(tmp_path)
    columns = {"predicted": torch.zeros(2, dtype=torch.int16), "correct": torch.zeros(2, dtype=torch.bool)}
    save_file(columns, tmp_path / SCORES)
    with pytest.raises(RequestError, match="holds no scores"):
        read_scores(tmp_path)
    columns |= {name: torch.zeros(3, dtype=torch.float16) for name in ("confidence", "loss")}
    save_file(columns, tmp_path / SCORES, {"format": "1", "run": "abc"})
    with pytest.raises(RequestError, match="not written by this version"):
        read_scores(tmp_path)
