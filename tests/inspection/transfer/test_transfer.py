import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import foveate
from foveate.data import load_data
from foveate.data.class_map import match_classes
from foveate.errors import RequestError
from foveate.inspection.examine import Work
from foveate.inspection.find_trained import find_trained
from foveate.inspection.trained import Trained
from foveate.inspection.transfer.direct_answers import direct_scores
from foveate.inspection.transfer.engine import transfer
from foveate.inspection.transfer.fine_tuning import Tuning
from foveate.inspection.transfer.settings import TransferSettings
from foveate.inspection.transfer.target import open_target
from foveate.models.backbones.create import create_backbone
from foveate.records.environment import Environment
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.candidate import parse_candidates
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import DataChoice

CPU = torch.device("cpu")
SHORT = {"epochs": 2, "set": ["batch_size=8", "augmentation=crop"]}


@pytest.fixture(scope="module")
def study(bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("source") / "study"
    settings = {"data": str(bands), "backbone": "cifar_resnet8", "attention": "none,se", "seeds": 2}
    compare(make_study(settings, {"epochs": 12, "batch_size": 16, "augmentation": ()}), out, Machine("cpu"))
    return out


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bands in colour, 12×12 pixels, two of them under other names, and a class of noise."""
    root = tmp_path_factory.mktemp("target") / "colours"
    random = np.random.default_rng(1)
    for part, count in (("train", 12), ("test", 5)):
        for band, name in ((0, "High"), (1, "bottom"), (2, "MIDDLE"), (None, "noise")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 120, (12, 12, 3), dtype=np.uint8)
                if band is not None:
                    pixels[3 * band : 3 * band + 4] += 100
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


def carry(
    trained: Sequence[Trained], folder: Path, to: Path, **settings: Any
) -> tuple[dict[str, Any], list[str]]:
    progress: list[str] = []

    def on_progress(what: str, done: float, of: int, detail: str = "") -> None:
        progress.append(detail or what)

    work = Work(list(trained), folder, CPU, "", Environment(), on_progress)
    path = transfer(work, TransferSettings(to=str(to), **settings))
    return json.loads(path.read_text()), progress


def mapping(folder: Path, text: str) -> Path:
    path = folder / "classes.yaml"
    path.write_text(text)
    return path


def test_direct_where_classes_match_and_a_probe_always(study: Path, colours: Path, tmp_path: Path) -> None:
    record, _ = carry(find_trained([str(study)]), tmp_path, colours)
    assert record["kind"] == "transfer-colours"
    ways = [(row["key"]["way"], row["key"]["label"], row["key"]["seed"]) for row in record["rows"]]
    assert ways == [
        (way, label, seed) for seed in (0, 1) for label in ("none", "se") for way in ("direct", "probe")
    ]
    direct, probe = record["rows"][:2]
    assert [row["class"] for row in direct["per_class"]] == ["High", "MIDDLE"]
    assert direct["images"] == 10
    assert direct["chance"] == 0.5
    assert probe["images"] == 20
    assert probe["chance"] == 0.25
    assert {"c", "validation_accuracy"} < set(probe)
    assert record["left_out"] == [
        "classes without a match: 2 of the target (bottom, noise) and 1 of the source (low)."
    ]
    assert any("luminance" in note for note in record["data"]["notes"])
    # Bright bands are told apart on other images of another size too: what was learned carries over.
    assert np.mean([row["accuracy"] for row in record["rows"] if row["key"]["way"] == "direct"]) > 0.7


def test_logits_without_a_match_do_not_count(study: Path, colours: Path) -> None:
    trained = find_trained([str(study)])[0]
    data = open_target(str(colours), trained.input_size)
    found = direct_scores(trained, data, match_classes(data.classes, trained.classes), CPU)
    network = trained.network(CPU)
    images, labels = data.test.__getitems__(np.flatnonzero(np.isin(data.test.labels, [0, 1])))
    assert data.classes[:2] == ("High", "MIDDLE")
    with torch.inference_mode():
        edge = (images.shape[-1] - 8) // 2
        middle = images[..., edge : edge + 8, edge : edge + 8].float() / 255
        logits = network((middle - torch.tensor(trained.mean)[0]) / torch.tensor(trained.std)[0])
    columns = [trained.classes.index(name) for name in ("high", "middle")]
    assert found.accuracy == pytest.approx((logits[:, columns].argmax(1) == labels).float().mean().item())
    assert found.loss == pytest.approx(
        torch.nn.functional.cross_entropy(logits[:, columns], labels).item(), abs=1e-5
    )


def test_a_file_maps_and_classes_that_meet_have_their_probability_together(
    study: Path, colours: Path, tmp_path: Path
) -> None:
    path = mapping(tmp_path, "High: high\nbottom: [low, middle]\n")
    record, _ = carry(find_trained([str(study)])[:1], tmp_path, colours, classes=path, how=("direct",))
    (row,) = record["rows"]
    assert row["key"]["classes"] == [[["High"], ["high"]], [["bottom"], ["low", "middle"]]]
    assert record["left_out"] == ["classes without a match: 2 of the target (MIDDLE, noise)."]
    assert record["settings"]["classes"] == str(path)


def test_a_second_request_measures_only_what_is_new(study: Path, colours: Path, tmp_path: Path) -> None:
    trained = find_trained([str(study)])
    first, _ = carry(trained[:2], tmp_path, colours, how=("probe",))
    path = tmp_path / "transfer-colours.json"
    changed = json.loads(path.read_text())
    changed["rows"][0]["accuracy"] = 0.125
    path.write_text(json.dumps(changed))
    second, _ = carry(trained, tmp_path, colours, how=("probe",))
    assert second["rows"][0]["accuracy"] == 0.125
    assert second["rows"][1] == first["rows"][1]
    assert len(second["rows"]) == 4
    third, _ = carry(trained[:1], tmp_path, colours, how=("probe",), train_fraction=0.5)
    assert third["rows"][0]["accuracy"] != 0.125
    assert third["rows"][0]["trained_on"] < first["rows"][0]["trained_on"]
    assert len(third["kept"]) == 4


def test_the_same_anew(study: Path, colours: Path, tmp_path: Path) -> None:
    trained = find_trained([str(study)])[:1]
    rows = [carry(trained, tmp_path / name, colours)[0]["rows"] for name in ("a", "b")]
    assert rows[0] == rows[1]


def test_fine_tuning_is_a_run_of_its_own_from_the_trained_weights(
    study: Path, colours: Path, tmp_path: Path
) -> None:
    trained = find_trained([str(study)])[:2]
    record, progress = carry(trained, tmp_path, colours, how=("finetune",), attach="eca", **SHORT)
    rows = [(row["key"]["way"], row["key"]["label"]) for row in record["rows"]]
    assert rows == [("finetune", "none"), ("attached", "eca"), ("finetune", "se")]
    assert progress.count("baseline, seed 0, fine-tuning with eca") > 1
    assert record["settings"]["recipe"]["learning_rate"] == 0.02
    for row in record["rows"]:
        folder = tmp_path / "transfer" / row["key"]["run"]
        result = json.loads((folder / "result.json").read_text())
        assert result["test"]["accuracy"] == row["accuracy"]
        network = foveate.load(folder)
        assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 4)
    tuned, source = foveate.load(tmp_path / "transfer" / record["rows"][0]["key"]["run"]), trained[0]
    moved = tuned.bn1.running_mean - source.network(torch.device("cpu")).bn1.running_mean
    assert moved.abs().min() > 0  # its norms saw the target's images as those of any training do
    eca = foveate.load(tmp_path / "transfer" / record["rows"][1]["key"]["run"])
    assert {type(module).__name__ for module in foveate.attached(eca).values()} == {"IdentityGate"}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "transfer").rglob("*.json")}
    again, _ = carry(trained, tmp_path, colours, how=("finetune",), attach="eca", **SHORT)
    assert again["rows"] == record["rows"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_fine_tuning_starts_from_the_trained_body_and_one_head_for_all(study: Path, colours: Path) -> None:
    plain, se = find_trained([str(study)])[:2]
    data = open_target(str(colours), plain.input_size)
    recipe = TransferSettings(to=str(colours), how=("finetune",)).read_recipe()
    choice = DataChoice(source=str(colours))
    attached = parse_candidates("dmsca")[0]
    tunings = [
        Tuning(plain, choice, data, recipe, 0),
        Tuning(se, choice, data, recipe, 0),
        Tuning(plain, choice, data, recipe, 0, attached),
        Tuning(plain, choice, data, recipe, 1),
    ]
    assert len({tuning.id for tuning in tunings}) == 4
    alone, other, with_it, seed = (tuning.start() for tuning in tunings)
    trained = plain.network(CPU).state_dict()
    mine = alone.state_dict()
    assert all(torch.equal(mine[key], value) for key, value in trained.items() if not key.startswith("fc."))
    assert mine["fc.weight"].shape == (4, 64)
    assert torch.equal(other.state_dict()["fc.weight"], mine["fc.weight"])
    assert not torch.equal(seed.state_dict()["fc.weight"], mine["fc.weight"])
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(with_it.eval()(images), alone.eval()(images))
    assert tunings[0].data.mean == plain.mean


def test_an_interrupted_fine_tuning_goes_on(
    study: Path, colours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = find_trained([str(study)])[:1]
    asked = {"how": ("finetune",)} | SHORT
    whole, _ = carry(trained, tmp_path / "whole", colours, **asked)

    def stop(what: str, done: int, of: int, detail: str = "") -> None:
        if "fine-tuning" in what and done == of and of > 1:
            raise KeyboardInterrupt

    settings = TransferSettings(to=str(colours), **asked)
    with pytest.raises(KeyboardInterrupt):
        transfer(Work(trained, tmp_path / "cut", CPU, "", Environment(), stop), settings)
    folder = tmp_path / "cut" / "transfer" / whole["rows"][0]["key"]["run"]
    assert (folder / "last.ckpt").is_file()
    cut, _ = carry(trained, tmp_path / "cut", colours, **asked)
    without = [{k: v for k, v in row.items() if k != "seconds"} for row in (cut["rows"][0], whole["rows"][0])]
    assert without[0] == without[1]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A file of a colour network that no study trained, with classes 0 to 4."""
    torch.manual_seed(0)
    network = create_backbone("cifar_resnet8", classes=5)
    said = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 1.0}
    said |= {"crop_mode": "center", "interpolation": "bilinear"}
    foveate.save(network, tmp_path / "mine.safetensors", preprocessing=said)
    return tmp_path / "mine.safetensors"


def test_a_network_from_elsewhere_on_grey_images(elsewhere: Path, bands: Path, tmp_path: Path) -> None:
    record, _ = carry(
        find_trained([str(elsewhere)]), tmp_path, bands, how=("probe", "finetune"), seeds=2, **SHORT
    )
    keys = [(row["key"]["way"], row["key"]["network"], row["key"]["seed"]) for row in record["rows"]]
    assert keys == [("probe", "mine", None), ("finetune", "mine", 0), ("finetune", "mine", 1)]
    assert any("given three times" in note for note in record["data"]["notes"])
    assert record["rows"][1]["accuracy"] != record["rows"][2]["accuracy"] or (
        record["rows"][1]["loss"] != record["rows"][2]["loss"]
    )


def test_where_nothing_matches_the_probe_goes_on(elsewhere: Path, bands: Path, tmp_path: Path) -> None:
    trained = find_trained([str(elsewhere)])
    record, _ = carry(trained, tmp_path, bands)
    assert [row["key"]["way"] for row in record["rows"]] == ["probe"]
    assert record["left_out"][0].startswith("direct answers: no class of the target (high, low, middle)")
    with pytest.raises(RequestError, match=r"--classes FILE, or transfer .* probe or finetune"):
        carry(trained, tmp_path, bands, how=("direct",))
    with pytest.raises(RequestError, match="only high of bands has a match"):
        carry(trained, tmp_path, bands, classes=mapping(tmp_path, "high: 0\n"))


def test_a_network_whose_end_is_none_is_left_out_by_name(
    study: Path, elsewhere: Path, colours: Path, tmp_path: Path
) -> None:
    good = find_trained([str(study)])[0]
    bad = replace(good, name="bad", label="bad", build=lambda: torch.nn.Flatten())
    record, _ = carry([bad, good], tmp_path, colours, how=("probe",))
    assert [row["key"]["label"] for row in record["rows"]] == ["none"]
    assert record["left_out"][0].startswith("bad, seed 0, probe: Flatten has no linear layer")


def test_broken_images_are_left_out_and_counted(study: Path, colours: Path, tmp_path: Path) -> None:
    there = tmp_path / "broken"
    shutil.copytree(colours, there)
    (there / "test" / "noise" / "0.png").write_bytes(b"no image")
    record, _ = carry(find_trained([str(study)])[:1], tmp_path, there, how=("probe",))
    assert record["rows"][0]["images"] == 19
    (sentence,) = record["left_out"]
    assert sentence.startswith("1 of 68 images are broken and were excluded: ")
    assert sentence.endswith("test/noise/0.png.")


def test_a_cap_on_images_is_spread_over_the_classes(colours: Path) -> None:
    data = open_target(str(colours), (1, 8, 8), images=8)
    assert np.bincount(data.test.labels).tolist() == [2, 2, 2, 2]
    assert any("8 of the 20 test images" in note for note in data.notes)


def test_luminance_is_what_pillow_makes_of_colours(colours: Path) -> None:
    whole = load_data(str(colours), image_size=8, upscale=True)
    grey = open_target(str(colours), (1, 8, 8))
    colour, _ = whole.test.__getitems__([0, 7])
    found, _ = grey.test.__getitems__([0, 7])
    for image, mine in zip(colour, found, strict=True):
        pillow = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L"))
        assert np.array_equal(mine[0].numpy(), pillow)


def test_streamed_images_are_recoloured_too(colours: Path, bands: Path) -> None:
    for source, channels in ((colours, 1), (bands, 3)):
        kept = open_target(str(source), (channels, 8, 8))
        streamed = open_target(str(source), (channels, 8, 8), images=4, memory_limit=0)
        images, labels = streamed.test.__getitems__(range(4))
        assert images.shape[1] == channels
        assert kept.channels == streamed.channels == channels
        assert len(set(labels.tolist())) > 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"how": ("guess",)}, "unknown way to transfer 'guess'"),
        ({"limit": 0}, "--limit must be a whole number of at least 1"),
        ({"train_fraction": 0.0}, "--train-fraction must lie in"),
        ({"attach": "se"}, "--attach is for fine-tuning"),
        ({"how": ("finetune",), "attach": "none"}, "--attach names mechanisms"),
        ({"how": ("probe",), "classes": Path("x.yaml")}, "--classes is for testing directly"),
        ({"how": ("finetune",), "set": ["epoch=3"]}, "unknown recipe key 'epoch'"),
        ({"how": ("probe",), "set": ["epoch=3"]}, "unknown recipe key 'epoch'"),
        ({"how": ("finetune",), "recipe": "defalt"}, "unknown recipe 'defalt'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        TransferSettings(to="somewhere", **settings).check()


def test_attaching_needs_a_plain_network(study: Path, colours: Path, tmp_path: Path) -> None:
    se = find_trained([str(study)])[1]
    with pytest.raises(RequestError, match="attaches mechanisms to baseline networks"):
        carry([se], tmp_path, colours, how=("finetune",), attach="eca")
