"""Robustness on a real study of tiny networks: grey images of 8×8, plain and SE on two seeds."""

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
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, open_images
from foveate.records.environment import Environment
from foveate.records.files import read_record
from foveate.records.read_run import read_run
from foveate.records.robustness import RobustnessRecord
from foveate.report.robustness.section import robustness_section

FEW = {"corruptions": ("contrast", "gaussian_noise"), "severities": (1, 5)}
GOLDEN = Path(__file__).parents[2] / "records" / "golden" / "robustness.json"

ASKED = ("corruptions", "severities", "noise", "attacks", "eps", "attack_images")
"""The settings that the golden record was asked for with."""


class Measuring:
    """Runs the engine in a folder of its own."""

    def __init__(self, trained: list[Trained], folder: Path) -> None:
        self.trained, self.folder = trained, folder

    def __call__(self, trained: list[Trained] | None = None, **settings) -> RobustnessRecord:
        work = Work(
            trained or self.trained,
            self.folder,
            torch.device("cpu"),
            "foveate robustness",
            Environment(),
            lambda *_: None,
        )
        path = robustness(work, RobustnessSettings(**(FEW | settings)), OtherImages())
        return read_record(path, RobustnessRecord)


@pytest.fixture(scope="module")
def trained(trained_bands: Path) -> list[Trained]:
    return find_trained([str(trained_bands)])


@pytest.fixture
def measure(trained: list[Trained], tmp_path: Path) -> Measuring:
    return Measuring(trained, tmp_path / "out")


@pytest.fixture(scope="module")
def measured(trained: list[Trained], tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    """The folder of a finished record of FEW and noise; for reading: whoever writes makes a copy."""
    finished = Measuring(trained, tmp_path_factory.mktemp("robustness"))
    finished(noise=(15.0,), batch_size=5)
    return finished


@pytest.fixture(scope="module")
def record(measured: Measuring) -> RobustnessRecord:
    return read_record(measured.folder / "robustness.json", RobustnessRecord)


@pytest.fixture
def again(measured: Measuring, tmp_path: Path) -> Measuring:
    """The same in a copy of the folder."""
    return Measuring(measured.trained, Path(shutil.copytree(measured.folder, tmp_path / "again")))


def places(record: RobustnessRecord) -> list[tuple[str, int | None, str]]:
    return [(row.key.corruption, row.key.severity, row.key.name) for row in record.corruption_rows]


def image_counts(record: RobustnessRecord) -> set[int]:
    return {row.images for row in record.rows}


def test_every_network_is_measured_on_every_condition(record, trained):
    conditions = [("clean", None), ("contrast", 1), ("contrast", 5)]
    conditions += [("gaussian_noise", 1), ("gaussian_noise", 5), ("noise_15", None)]
    assert places(record) == [(*condition, one.name) for condition in conditions for one in trained]
    assert record.conditions == tuple(conditions[1:])
    assert image_counts(record) == {18}
    assert record.kind == "robustness"
    assert record.left_out == record.warnings == ()


def test_clean_images_score_as_in_the_run(record, trained, trained_bands):
    clean = {row.key.name: row for row in record.corruption_rows if row.key.corruption == "clean"}
    for one in trained:
        tested = read_run(trained_bands / "runs" / one.name / "result.json").test
        row = clean[one.name]
        assert (row.accuracy, row.loss, row.ece) == pytest.approx(
            (tested.accuracy, tested.loss, tested.ece), abs=1e-5
        )


def test_scores_are_those_of_the_corrupted_images(record, trained):
    """Contrast draws no random numbers: corrupted here again, answered here again."""
    one = trained[2]
    images, labels = open_images([one]).test.__getitems__(np.arange(18))
    images = corrupt(images.float() / 255, "contrast", 5, torch.Generator())
    with torch.inference_mode():
        answers = one.network(torch.device("cpu"))(one.normalise(images)).argmax(1)
    row = record.corruption_rows[places(record).index(("contrast", 5, one.name))]
    assert row.accuracy == pytest.approx((answers == labels).double().mean().item())


def test_what_was_measured_is_not_measured_again(again, record, monkeypatch):
    monkeypatch.setattr(Trained, "network", lambda *_: pytest.fail("built again"))
    assert again(noise=(15.0,), batch_size=5).rows == record.rows


def test_what_version_0_1_0_measured_is_not_measured_again(measure, monkeypatch):
    """Its record, as if it were of these networks and images."""
    written = GOLDEN.read_text(encoding="utf-8")
    old = read_record(GOLDEN, RobustnessRecord)
    networks = {(one.label, one.seed): one for one in measure.trained}
    renamed = {old.data.fingerprint: open_images(measure.trained).fingerprint}
    for one in old.networks:
        digest = next(row.key.digest for row in old.rows if row.key.name == one.name)
        own = networks[one.label, one.seed]
        renamed |= {one.name: own.name, digest: own.digest}
    for before, after in renamed.items():
        written = written.replace(f'"{before}"', f'"{after}"')
    measure.folder.mkdir()
    (measure.folder / GOLDEN.name).write_text(written, encoding="utf-8")
    expected = read_record(measure.folder / GOLDEN.name, RobustnessRecord)
    monkeypatch.setattr(Trained, "network", lambda *_: pytest.fail("built again"))
    monkeypatch.setattr("foveate.inspection.robustness.engine.check_toolbox", lambda: None)
    found = measure(limit=old.settings.images, **{name: getattr(old.settings, name) for name in ASKED})
    assert (found.rows, found.kept) == (expected.rows, expected.kept)


def test_a_network_that_comes_later_sees_the_same_images(measure, record):
    measure(trained=measure.trained[:2], corruptions=("gaussian_noise",), batch_size=5)
    later = measure(noise=(15.0,), batch_size=5)
    assert {row.key.identity: row for row in later.rows} == {row.key.identity: row for row in record.rows}
    assert later.kept == ()


def test_another_seed_is_another_measurement(again, record):
    second = again(noise=(15.0,), batch_size=5, seed=1)
    assert second.kept == record.rows
    assert [row.accuracy for row in second.rows] != [row.accuracy for row in record.rows]


def test_the_cap_takes_images_of_every_class(measure):
    assert image_counts(measure(limit=6)) == {6}


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
        (NoNumber, "its answers are not finite"),
        (Failing, "RuntimeError: it fell over"),
        (not_there, "OSError: the weights are gone"),
    ],
)
def test_one_bad_network_does_not_stop_the_others(measure, build, words):
    bad = replace(measure.trained[1], build=build)
    record = measure(trained=[measure.trained[0], bad, *measure.trained[2:]])
    assert record.unmeasured == [bad.name]
    assert record.left_out == (f"{bad.name} ({bad.label}), from clean images on: {words}.",)
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
    asked = {"corruptions": ("contrast",), "severities": (1,), "attacks": ("fgsm", "pgd"), "eps": (4.0,)}
    record = measure(**asked, attack_images=5)
    rows = record.attack_rows
    attacks = [("none", None), ("fgsm", 4.0), ("pgd", 4.0)]
    assert [(row.key.name, row.key.attack, row.key.eps) for row in rows] == [
        (one.name, *attack) for one in measure.trained for attack in attacks
    ]
    assert {row.images for row in rows} == {5}
    for one, unattacked, fgsm, pgd in zip(measure.trained, rows[::3], rows[1::3], rows[2::3], strict=True):
        assert max(fgsm.accuracy, pgd.accuracy) <= unattacked.accuracy
        assert unattacked.loss == pytest.approx(validation_loss(one), abs=1e-5)
    assert measure(**asked, attack_images=5).rows == record.rows


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
    assert any("zero everywhere for 3 of 3 images" in said for said in record.warnings)


def test_a_failing_attack_leaves_the_network_out(measure):
    bad = replace(measure.trained[1], build=NoNumber)
    trained = [measure.trained[0], bad]
    record = measure(
        trained=trained, corruptions=("contrast",), severities=(1,), attacks=("fgsm",), attack_images=3
    )
    assert [row.key.attack for row in record.attack_rows] == ["none", "fgsm", "fgsm"]
    assert {row.key.name for row in record.attack_rows} == {trained[0].name}
    assert any(said.startswith(f"{bad.name} ({bad.label}) was not attacked") for said in record.left_out)


def test_a_prepared_folder_is_read_instead(measure, tmp_path):
    for severity in (1, 2):
        for name in ("high", "low", "middle"):
            place = tmp_path / "c" / "fog" / str(severity) / name
            place.mkdir(parents=True)
            Image.new("L", (8, 8), 90).save(place / "0.png")
    record = measure(prepared=tmp_path / "c", corruptions=("common",), severities=(1, 2, 3), noise=(15.0,))
    images = {(row.key.corruption, row.key.severity): row.images for row in record.corruption_rows}
    assert images == {("clean", None): 18, ("fog", 1): 3, ("fog", 2): 3, ("noise_15", None): 18}
    missing, severity = record.left_out
    assert missing.startswith("the prepared set does not have gaussian_noise, shot_noise")
    assert "fog" not in missing
    assert severity == "fog, severity 3: the prepared set does not have it."
    assert record.conditions == (("fog", 1), ("fog", 2), ("noise_15", None))
    shutil.copy(tmp_path / "c/fog/1/low/0.png", tmp_path / "c/fog/1/low/1.png")
    changed = measure(prepared=tmp_path / "c", corruptions=("fog",), severities=(1,))
    assert image_counts(changed) == {18, 4}
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
    assert record.settings.classes == str(tmp_path / "classes.yaml")
    assert image_counts(record) == {18, 3}
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
    assert len(again.kept) == len(measure.trained)
    (before,), (after,) = ({row.key.data for row in record.rows[-4:]} for record in (first, again))
    assert before != after


def test_what_cannot_be_read_is_said_again(measure, tmp_path):
    asked = {"prepared": write_set(tmp_path / "c"), "corruptions": ("fog",), "severities": (1,)}
    for class_ in ("high", "low"):
        for number in range(2):
            (asked["prepared"] / "fog/1" / class_ / f"{number}.png").write_bytes(b"junk")
    record = measure(**asked)
    (said,) = record.left_out
    assert said.startswith(
        "4 images of fog, severity 1, of the prepared set, cannot be read: fog/1/high/0.png"
    )
    assert said.endswith("; ….")
    assert (record.rows[-1].images, record.rows[-1].unreadable) == (2, 4)
    assert measure(**asked).left_out == (said,)


def test_a_prepared_set_with_nothing_of_what_is_asked_is_refused(measure, tmp_path):
    folder = write_set(tmp_path / "c", "speckle_noise", (2,))
    with pytest.raises(RequestError, match="no corruption of 'common': it has speckle_noise"):
        measure(prepared=folder, corruptions=("common",))
    with pytest.raises(RequestError, match=r"none of the severities asked for \(1\)"):
        measure(prepared=folder, corruptions=("speckle_noise",), severities=(1,))


def test_rows_of_other_definitions_are_not_taken(again, record, monkeypatch):
    monkeypatch.setattr("foveate.inspection.robustness.corrupting.DEFINITIONS", 99)
    assert again(corruptions=(), batch_size=5, noise=(15.0,)).kept == record.rows


def test_the_batch_decides_an_attacks_random_starts(measure):
    pytest.importorskip("art")
    asked = {"trained": measure.trained[:1], "corruptions": (), "attacks": ("fgsm",), "eps": (4.0,)}
    for size in (250, 2):
        rows = measure(**asked, attack_images=5, batch_size=size).attack_rows
        assert [row.key.batch_size for row in rows] == [size, size]


def test_a_run_given_other_images_is_attacked_on_test_images(measure):
    one = measure.trained[0]
    data = open_images([one])
    other = "of other images"
    others = replace(data, fingerprint=other, content_fingerprint=other, names_fingerprint=other)
    assert _split_of(one, data)[0] == one.spec.seed
    assert _split_of(one, others) == ("test",)
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
    assert record.conditions == (("noise_15", None),)


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
        ({"limit": 0}, "--limit must be a whole number of at least 1"),
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
