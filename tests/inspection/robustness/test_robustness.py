"""Robustness on a real study of tiny networks: grey images of 8×8, plain and SE on two seeds."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from foveate.data.corruptions import corrupt
from foveate.data.survey import spread
from foveate.errors import RequestError, WorkError
from foveate.inspection.examine import Work
from foveate.inspection.find_trained import find_trained
from foveate.inspection.robustness.attacking import _images, _split_of
from foveate.inspection.robustness.conditions import asked_conditions, check_settings
from foveate.inspection.robustness.engine import robustness
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.trained import Trained, open_images
from foveate.report.robustness.section import robustness_section

FEW = {"corruptions": ("contrast", "gaussian_noise"), "severities": (1, 5)}


class Measuring:
    """Runs the engine in a folder of its own, and remembers what it told."""

    def __init__(self, trained: list[Trained], folder: Path) -> None:
        self.trained, self.folder, self.told = trained, folder, []

    def __call__(self, trained: list[Trained] | None = None, **settings) -> dict:
        work = Work(
            trained or self.trained,
            self.folder,
            torch.device("cpu"),
            {"command": "foveate robustness", "environment": {}},
            lambda *told: self.told.append(told),
        )
        path = robustness(work, RobustnessSettings(**(FEW | settings)))
        return json.loads(path.read_text())


@pytest.fixture
def measure(trained_bands: Path, tmp_path: Path) -> Measuring:
    return Measuring(find_trained([str(trained_bands)]), tmp_path / "out")


def places(record: dict) -> list[tuple]:
    return [
        (row["key"]["corruption"], row["key"]["severity"], row["key"]["network"]) for row in record["rows"]
    ]


def test_every_network_is_measured_on_every_condition(measure):
    record = measure(noise=(15.0,))
    conditions = [("clean", None), ("contrast", 1), ("contrast", 5)]
    conditions += [("gaussian_noise", 1), ("gaussian_noise", 5), ("noise_15", None)]
    names = [one.name for one in measure.trained]
    assert places(record) == [(*condition, name) for condition in conditions for name in names]
    assert {row["images"] for row in record["rows"]} == {18}
    assert record["kind"] == "robustness"
    assert record["left_out"] == record["warnings"] == []


def test_clean_images_score_as_in_the_run(measure, trained_bands):
    clean = {row["key"]["network"]: row for row in measure()["rows"] if row["key"]["corruption"] == "clean"}
    for one in measure.trained:
        tested = json.loads((trained_bands / "runs" / one.name / "result.json").read_text())["test"]
        for score in ("accuracy", "loss", "ece"):
            assert clean[one.name][score] == pytest.approx(tested[score], abs=1e-5)


def test_scores_are_those_of_the_corrupted_images(measure):
    """Contrast draws no random numbers: corrupted here again, answered here again."""
    record = measure()
    one = measure.trained[2]
    data = open_images([one])
    images, labels = data.test.__getitems__(np.arange(18))
    images = corrupt(images.float() / 255, "contrast", 5, torch.Generator())
    with torch.inference_mode():
        expected = (
            (one.network(torch.device("cpu"))(one.normalise(images)).argmax(1) == labels).double().mean()
        )
    (row,) = [
        row
        for row, place in zip(record["rows"], places(record), strict=True)
        if place == ("contrast", 5, one.name)
    ]
    assert row["accuracy"] == pytest.approx(expected.item())


def test_what_was_measured_is_not_measured_again(measure, monkeypatch):
    first = measure()
    monkeypatch.setattr(Trained, "network", lambda *_: pytest.fail("built again"))
    assert measure()["rows"] == first["rows"]


def test_a_network_that_comes_later_sees_the_same_images(measure, tmp_path):
    together = measure(batch_size=5)
    later = Measuring(measure.trained, tmp_path / "later")
    later(trained=measure.trained[:2], corruptions=("gaussian_noise",), batch_size=5)
    record = later(batch_size=5)
    assert sorted(map(json.dumps, record["rows"])) == sorted(map(json.dumps, together["rows"]))
    assert record["kept"] == []


def test_another_seed_is_another_measurement(measure):
    first, second = measure(), measure(seed=1)
    assert len(second["kept"]) == len(first["rows"])
    assert first["rows"] != second["rows"]


def test_the_cap_takes_images_of_every_class(measure):
    assert {row["images"] for row in measure(images=6)["rows"]} == {6}


class NoNumber(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 3), float("nan"))


class Failing(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("it fell over")


def not_there() -> nn.Module:
    raise OSError("the weights are gone")


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (NoNumber, "answers on clean images are not finite"),
        (Failing, "it fell over"),
        (not_there, "weights are gone"),
    ],
)
def test_one_bad_network_does_not_stop_the_others(measure, build, words):
    bad = replace(measure.trained[1], build=build)
    record = measure(trained=[measure.trained[0], bad, *measure.trained[2:]])
    assert {row["key"]["network"] for row in record["rows"]} == {
        one.name for one in measure.trained if one.name != bad.name
    }
    (said,) = record["left_out"]
    assert bad.name in said
    assert words in said
    robustness_section(record)


def validation_loss(one: Trained) -> float:
    """Of five of the run's own six validation images, two of which are of each class."""
    data = open_images([one])
    _, held = data.split(one.spec.seed, 0.1)
    images, labels = data.train.__getitems__(held[spread(data.train.labels[held], 5)])
    with torch.inference_mode():
        logits = one.network(torch.device("cpu"))(one.normalise(images.float() / 255))
    return F.cross_entropy(logits, labels).item()


def test_attacks_are_on_validation_images_of_each_run(measure):
    pytest.importorskip("art")
    record = measure(
        corruptions=("contrast",), severities=(1,), attacks=("fgsm", "pgd"), eps=(4.0,), attack_images=5
    )
    rows = [row for row in record["rows"] if "attack" in row["key"]]
    assert [(row["key"]["attack"], row["key"]["eps"]) for row in rows[:3]] == [
        ("none", None),
        ("fgsm", 4.0),
        ("pgd", 4.0),
    ]
    assert len(rows) == 3 * len(measure.trained)
    assert {row["images"] for row in rows} == {5}
    for one in measure.trained:
        clean, fgsm, pgd = (row["accuracy"] for row in rows if row["key"]["network"] == one.name)
        assert clean >= fgsm
        assert clean >= pgd
        assert next(row for row in rows if row["key"]["network"] == one.name)["loss"] == pytest.approx(
            validation_loss(one), abs=1e-5
        )
    again = measure(
        corruptions=("contrast",), severities=(1,), attacks=("fgsm", "pgd"), eps=(4.0,), attack_images=5
    )
    assert again["rows"] == record["rows"]


def test_masked_gradients_are_warned_of(measure):
    pytest.importorskip("art")

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = measure.trained[0].build()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images.round())

    masked = replace(measure.trained[0], build=Steps)
    record = measure(
        trained=[masked], corruptions=("contrast",), severities=(1,), attacks=("fgsm",), attack_images=3
    )
    assert any("zero everywhere for 3 of 3 images" in said for said in record["warnings"])


def test_a_failing_attack_leaves_the_network_out(measure):
    bad = replace(measure.trained[1], build=NoNumber)
    trained = [measure.trained[0], bad]
    record = measure(
        trained=trained, corruptions=("contrast",), severities=(1,), attacks=("fgsm",), attack_images=3
    )
    assert len([row for row in record["rows"] if "attack" in row["key"]]) == 3
    assert any("not attacked to the end" in said for said in record["left_out"])


def test_a_prepared_folder_is_read_instead(measure, tmp_path):
    for severity in (1, 2):
        for name in ("high", "low", "middle"):
            place = tmp_path / "c" / "fog" / str(severity) / name
            place.mkdir(parents=True)
            Image.new("L", (8, 8), 90).save(place / "0.png")
    record = measure(prepared=tmp_path / "c", corruptions=("common",), severities=(1, 2, 3), noise=(15.0,))
    images = {(row["key"]["corruption"], row["key"]["severity"]): row["images"] for row in record["rows"]}
    assert images == {("clean", None): 18, ("fog", 1): 3, ("fog", 2): 3, ("noise_15", None): 18}
    missing, severity = record["left_out"]
    assert missing.startswith("the prepared set does not have gaussian_noise, shot_noise")
    assert "fog" not in missing
    assert severity == "fog, severity 3: the prepared set does not have it."
    assert record["conditions"] == [["fog", 1], ["fog", 2], ["noise_15", None]]
    shutil.copy(tmp_path / "c/fog/1/low/0.png", tmp_path / "c/fog/1/low/1.png")
    changed = measure(prepared=tmp_path / "c", corruptions=("fog",), severities=(1,))
    assert {row["images"] for row in changed["rows"]} == {18, 4}
    with pytest.raises(RequestError, match="corruption of the prepared set 'snow'"):
        measure(prepared=tmp_path / "c", corruptions=("snow",))


def test_a_file_says_which_class_a_label_of_a_prepared_set_is(measure, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "c/fog/1" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 90).save(tmp_path / "c/fog/1" / name / "0.png")
    (tmp_path / "classes.yaml").write_text("{a: high, b: low, c: middle}")
    asked = {"prepared": tmp_path / "c", "corruptions": ("fog",), "severities": (1,)}
    with pytest.raises(RequestError, match="Say which class each folder is with --classes FILE"):
        measure(**asked)
    record = measure(**asked, classes=tmp_path / "classes.yaml")
    assert record["settings"]["classes"] == str(tmp_path / "classes.yaml")
    assert {row["images"] for row in record["rows"]} == {18, 3}
    with pytest.raises(RequestError, match="give --prepared"):
        measure(classes=tmp_path / "classes.yaml")


def write_set(folder: Path, name: str = "fog", severities=(1,)) -> Path:
    for severity in severities:
        for class_ in ("high", "low", "middle"):
            place = folder / name / str(severity) / class_
            place.mkdir(parents=True)
            for number in range(2):
                Image.new("L", (8, 8), 90 + number).save(place / f"{number}.png")
    return folder


def test_a_prepared_set_that_was_replaced_is_measured_again(measure, tmp_path):
    asked = {"prepared": write_set(tmp_path / "c"), "corruptions": ("fog",), "severities": (1,)}
    first = measure(**asked)
    for number, file in enumerate(sorted(asked["prepared"].glob("*/*/*/*"))):
        size, pixels = file.stat().st_size, Image.new("L", (8, 8), 91 - number % 2)
        pixels.save(file)
        assert file.stat().st_size == size
    again = measure(**asked)
    # Clean images are those of before; of the others the old rows are kept.
    assert len(again["kept"]) == len(measure.trained)
    assert [row["key"]["data"] for row in first["rows"][-4:]] != [
        row["key"]["data"] for row in again["rows"][-4:]
    ]


def test_what_cannot_be_read_is_said_again(measure, tmp_path):
    asked = {"prepared": write_set(tmp_path / "c"), "corruptions": ("fog",), "severities": (1,)}
    for class_ in ("high", "low"):
        for number in range(2):
            (asked["prepared"] / "fog/1" / class_ / f"{number}.png").write_bytes(b"junk")
    record = measure(**asked)
    (said,) = record["left_out"]
    assert said.startswith(
        "4 images of fog, severity 1, of the prepared set, cannot be read: fog/1/high/0.png"
    )
    assert said.endswith("; ….")
    assert record["rows"][-1]["images"] == 2
    assert measure(**asked)["left_out"] == [said]


def test_a_prepared_set_with_nothing_of_what_is_asked_is_refused(measure, tmp_path):
    folder = write_set(tmp_path / "c", "speckle_noise", (2,))
    with pytest.raises(RequestError, match="no corruption of 'common': it has speckle_noise"):
        measure(prepared=folder, corruptions=("common",))
    with pytest.raises(RequestError, match=r"none of the severities asked for \(1\)"):
        measure(prepared=folder, corruptions=("speckle_noise",), severities=(1,))


def test_rows_of_other_definitions_are_not_taken(measure, monkeypatch):
    first = measure()
    monkeypatch.setattr("foveate.inspection.robustness.corrupting.DEFINITIONS", 99)
    assert len(measure()["kept"]) == len(first["rows"])


def test_the_batch_decides_an_attacks_random_starts(measure):
    pytest.importorskip("art")
    asked = {"trained": measure.trained[:1], "corruptions": (), "attacks": ("fgsm",), "eps": (4.0,)}
    rows = measure(**asked, attack_images=5)["rows"]
    again = measure(**asked, attack_images=5, batch_size=2)
    assert [row["key"]["batch_size"] for row in rows if "attack" in row["key"]] == [250, 250]
    assert [row["key"]["batch_size"] for row in again["rows"] if "attack" in row["key"]] == [2, 2]


def test_a_run_given_other_images_is_attacked_on_test_images(measure):
    one = measure.trained[0]
    data = open_images([one])
    other = "of other images"
    others = replace(data, fingerprint=other, content_fingerprint=other, names_fingerprint=other)
    assert _split_of(one, data)[0] == one.spec.seed
    assert _split_of(one, others) == ["test"]
    attacked, _ = _images(one, others, 18, torch.device("cpu"))
    tested, _ = others.test.__getitems__(spread(others.test.labels, 18))
    assert torch.equal(attacked, tested.float() / 255)


class TooLarge(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("tried to allocate 3 GiB")


def too_large() -> nn.Module:
    raise torch.OutOfMemoryError("tried to allocate 3 GiB")


@pytest.mark.parametrize("build", [TooLarge, too_large])
def test_a_device_without_memory_ends_the_work_with_what_to_do(measure, build):
    trained = [measure.trained[0], replace(measure.trained[1], build=build)]
    with pytest.raises(WorkError, match=r"3 GiB.*fewer networks at a time, or --device cpu"):
        measure(trained=trained)


def test_a_device_without_memory_ends_attacks_too(measure, monkeypatch):
    pytest.importorskip("art")
    monkeypatch.setattr("foveate.inspection.robustness.attacking.attack", lambda *_, **__: too_large())
    with pytest.raises(WorkError, match="fewer networks at a time"):
        measure(corruptions=(), attacks=("fgsm",), attack_images=3)


def test_noise_alone_needs_no_severity(measure):
    record = measure(corruptions=("noise_15.0", "noise_015"), noise=(15.0,), severities=())
    assert record["conditions"] == [["noise_15", None]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"corruptions": ("fogg",)}, "Did you mean 'fog'"),
        ({"corruptions": ()}, "nothing to measure"),
        ({"severities": (0,)}, "1 to 5, got 0"),
        ({"severities": ()}, "is empty"),
        ({"noise": (-1.0,)}, "from 0.1 to 255"),
        ({"noise": (1e-5,)}, "from 0.1 to 255"),
        ({"attacks": ("fgms",)}, "Did you mean 'fgsm'"),
        ({"eps": (0.0,)}, "over 0"),
        ({"attacks": ("pgd",), "eps": ()}, "is empty"),
        ({"images": 0}, "--images must be a whole number of at least 1"),
        ({"attack_images": 0}, "--attack-images must be a whole number of at least 1"),
        ({"batch_size": 0}, "--batch-size must be a whole number of at least 1"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, words):
    with pytest.raises(RequestError, match=words):
        check_settings(RobustnessSettings(**settings))


def test_groups_stand_for_names_and_each_comes_once():
    article = RobustnessSettings(
        corruptions=("article", "fog", "motion_blur"), severities=(3,), noise=(15.0, 50.0)
    )
    assert asked_conditions(article) == [
        ("noise_15", None),
        ("noise_25", None),
        ("motion_blur", 3),
        ("jpeg_compression", 3),
        ("fog", 3),
        ("noise_50", None),
    ]
    assert len(asked_conditions(RobustnessSettings())) == 75
