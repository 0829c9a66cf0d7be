"""`foveate fold` on runs of a study and on files: what decides, what is tested, what is written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from scipy import stats

import foveate
from foveate.data import load_data, seen
from foveate.errors import RequestError
from foveate.inspection.examine import Work
from foveate.inspection.find_trained import find_trained
from foveate.inspection.fold.engine import fold_trained
from foveate.inspection.fold.images import choose_images
from foveate.inspection.fold.settings import FoldSettings, find_files
from foveate.inspection.settings import OtherImages
from foveate.models.checkpoint.save_load import save
from foveate.models.dense import create_segmenter
from foveate.records.environment import Environment
from foveate.records.files import read_record
from foveate.records.fold import FoldRecord
from foveate.records.read_run import RunRecord
from foveate.report.fold.console import fold_sentences


@pytest.fixture(scope="module")
def study(trained_bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished study that may be written to."""
    folder = tmp_path_factory.mktemp("folded") / "study"
    shutil.copytree(trained_bands, folder)
    return folder


def run_of(study: Path, label: str, seed: int = 0) -> Path:
    for one in find_trained([str(study)]):
        if (one.label, one.seed) == (label, seed):
            assert one.path is not None
            return one.path.parent
    raise LookupError(label)


def folded(source: str, data: str | None = None, out: Path | None = None, **settings: float) -> FoldRecord:
    files = find_files(source, out)
    work = Work(
        find_trained([source]),
        files.record.parent,
        torch.device("cpu"),
        "",
        Environment(),
        lambda *progress: None,
    )
    chosen = FoldSettings(seconds=0.0, batch_size=16, **settings)  # type: ignore[arg-type]
    return read_record(fold_trained(work, chosen, OtherImages(data=data), files), FoldRecord)


def test_a_run_is_decided_on_validation_and_training_images_and_tested_once_more(
    study: Path, bands: Path
) -> None:
    run = run_of(study, "se")
    record = folded(str(run), max_loss=40.0)
    result = read_record(run / "result.json", RunRecord)
    assert record.test is not None
    assert record.test.before == pytest.approx(float(result.test.accuracy))
    assert [(one.part, one.images) for one in record.deciding] == [("validation", 6), ("training", 54)]
    assert [site.became for site in record.sites] == ["folded"] * 3
    assert [layer.path for layer in record.sites[0].layers] == ["layer1.0.bn2"]
    assert record.is_plain
    assert record.file == "fold.safetensors"
    assert record.largest_difference is not None
    assert record.largest_difference < 1e-4
    network = timm.create_model("cifar_resnet8", num_classes=3, in_chans=1).eval()
    network.load_state_dict(safetensors.torch.load_file(run / "fold.safetensors"))
    (one,) = find_trained([str(run)])
    data = load_data(str(bands))
    canvases, labels = data.test.__getitems__(np.arange(len(data.test)))
    with torch.inference_mode():
        right = network(one.normalise(seen(canvases, data.image_size))).argmax(dim=1) == labels
    assert record.test.after == pytest.approx(right.double().mean().item())
    interval = stats.binomtest(int(right.sum()), 18).proportion_ci(0.95, "wilson")
    assert record.test.after_ci95 == pytest.approx((interval.low, interval.high))
    assert record.test.difference == pytest.approx(record.test.after - record.test.before)
    low, high = record.test.difference_ci95
    assert low < record.test.difference < high
    assert record.cost is not None
    plain = timm.create_model("cifar_resnet8", num_classes=3, in_chans=1)
    assert record.cost.after.parameters == sum(one.numel() for one in plain.parameters())
    assert record.cost.before.parameters > record.cost.after.parameters
    assert record.cost.before.latency_ratio == 1


def test_the_images_of_a_run_are_split_as_in_its_training(study: Path) -> None:
    (one,) = find_trained([str(run_of(study, "se", 1))])
    assert one.spec is not None
    data = load_data(one.spec.data.source)
    images = choose_images(one, data, 1000)
    trained, held = data.split(1, one.spec.recipe.validation_fraction)
    assert list(images.means.rows) == list(trained)
    assert images.validation is not None
    assert list(images.validation.rows) == list(held)
    assert set(images.means.rows).isdisjoint(images.validation.rows)
    assert len(images.test) == len(data.test)
    assert [len(part) for part in choose_images(one, data, 4).deciding] == [4, 4]


def test_a_file_is_decided_on_training_images_and_says_so(study: Path, bands: Path, tmp_path: Path) -> None:
    file = tmp_path / "se.safetensors"
    shutil.copy(run_of(study, "se") / "weights.safetensors", file)
    with pytest.raises(RequestError, match="does not say which images it is for: give --data"):
        folded(str(file))
    record = folded(str(file), str(bands), max_loss=40.0)
    assert (tmp_path / "se-fold.safetensors").is_file()
    assert (tmp_path / "se-fold.json").is_file()
    assert [(one.part, one.images) for one in record.deciding] == [("training", 60)]
    assert "training images alone decided" in record.warnings[0]
    assert foveate.attached(foveate.load(tmp_path / "se-fold.safetensors")) == {}


def test_a_registered_name_becomes_its_backbone(bands: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8_eca", num_classes=3, in_chans=1)
    file = tmp_path / "eca.safetensors"
    preprocessing = {"input_size": (1, 8, 8), "mean": (0.5,), "std": (0.5,)}
    save(network.eval(), file, classes=("high", "low", "middle"), preprocessing=preprocessing)
    assert find_trained([str(file)])[0].backbone == "cifar_resnet8_eca"
    record = folded(str(file), str(bands), max_loss=49.0)
    assert (record.backbone, record.is_plain) == ("cifar_resnet8", True)
    assert type(foveate.load(tmp_path / "eca-fold.safetensors")).__name__ == "CifarResNet"


def test_own_attention_that_was_replaced_leaves_a_file_for_foveate_alone(bands: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_050", num_classes=3, in_chans=1)
    foveate.attach(network, "eca", replace_own=True)
    preprocessing = {"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,)}
    file = tmp_path / "own.safetensors"
    save(network.eval(), file, classes=("high", "low", "middle"), preprocessing=preprocessing)
    record = folded(str(file), str(bands), max_loss=49.0)
    assert record.network.own_removed
    assert not record.is_plain
    assert {site.became for site in record.sites} == {"folded"}
    loaded = foveate.load(tmp_path / "own-fold.safetensors")
    assert foveate.attached(loaded) == {}
    assert loaded.blocks[0][0].se(images := torch.rand(1, 8, 4, 4)) is images


def test_nothing_is_written_and_nothing_is_tested_where_nothing_can_be_folded(
    bands: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8", num_classes=3, in_chans=1)
    foveate.attach(network, "sgfa", reduction=4)
    preprocessing = {"input_size": (1, 8, 8), "mean": (0.5,), "std": (0.5,)}
    file = tmp_path / "sgfa.safetensors"
    save(network.eval(), file, classes=("high", "low", "middle"), preprocessing=preprocessing)
    record = folded(str(file), str(bands))
    assert (record.order, record.test, record.cost, record.file) == ((), None, None, None)
    assert record.deciding[0].after is None
    assert [site.became for site in record.sites] == ["excluded"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sgfa-fold.json", "sgfa.safetensors"]
    assert "nothing can be folded" in fold_sentences(record)[0]
    (tmp_path / "sgfa-fold.safetensors").write_text("of an earlier fold")
    assert "was there before" in folded(str(file), str(bands)).warnings[-1]
    assert (tmp_path / "sgfa-fold.safetensors").read_text() == "of an earlier fold"


def test_a_network_that_does_not_classify_is_refused(tmp_path: Path) -> None:
    network = create_segmenter("fpn", "resnet18", classes=3)
    save(foveate.attach(network, "se").eval(), tmp_path / "masks.safetensors")
    with pytest.raises(RequestError, match="foveate fold is for networks that classify: it decides by"):
        folded(str(tmp_path / "masks.safetensors"))


def test_the_baseline_a_study_and_the_file_itself_are_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no attention that could be folded"):
        folded(str(run_of(study, "none")))
    with pytest.raises(
        RequestError, match="is a whole study, and one network is folded at a time: give a run, such"
    ):
        find_files(str(study), None)
    run = run_of(study, "se")
    with pytest.raises(RequestError, match="is the file that would be folded"):
        find_files(str(run), run / "weights.safetensors")
    with pytest.raises(RequestError, match="its record would replace .*result.json"):
        find_files(str(run), run / "result.safetensors")
    with pytest.raises(RequestError, match="expected a file that ends in .safetensors"):
        find_files(str(run), tmp_path / "folded.pth")
    with pytest.raises(RequestError, match="is a folder"):
        (tmp_path / "a.safetensors").mkdir()
        find_files(str(run), tmp_path / "a.safetensors")
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="is no folder that can be written to"):
        find_files(str(run), tmp_path / "file" / "a.safetensors")
