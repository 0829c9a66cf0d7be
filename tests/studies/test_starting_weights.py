"""Studies that start from pretrained weights: as the plain network does, by a recipe of their own."""

import functools
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import foveate
from foveate.attention import list_attention
from foveate.errors import RequestError, WorkError
from foveate.models.backbones.create import create_backbone
from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.report.study.start import start_sentences
from foveate.studies.compare import compare
from foveate.studies.engine.executors.processes import LocalProcesses
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.joining import choose_folder
from foveate.studies.engine.network import build_network
from foveate.studies.engine.start import describe_start, with_weights
from foveate.studies.engine.watch import Watch
from foveate.studies.plan import plan
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.weights import StartWeights
from foveate.training.recipe import make_recipe, read_recipe

MEAN, STD = (0.2, 0.4, 0.6), (0.1, 0.2, 0.3)


def trained(folder: Path, seed: int = 0, classes: int = 4) -> Path:
    """A file of weights as a training leaves them: norms and statistics are not those of the start."""
    torch.manual_seed(seed)
    network = create_backbone("cifar_resnet8", classes=classes)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and "conv" not in key:
            value.copy_(torch.rand_like(value) + 0.5)
    path = folder / f"weights{seed}.safetensors"
    images = {"input_size": [3, 24, 24], "mean": MEAN, "std": STD}
    foveate.save(network, path, classes=list("abcdefgh"[:classes]), preprocessing=images)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("weights"))


def study_of(
    weights: Path, attention: str = "none,se", changes: dict[str, Any] | None = None, **keys: Any
) -> StudySpec:
    subject = {} if {"sweep", "ablate"} & keys.keys() else {"attention": attention}
    settings = {"data": "digits", "backbone": "cifar_resnet8", "weights": str(weights), **subject, **keys}
    return make_study(settings, changes or {})


@functools.cache
def starts_of(weights: str) -> dict[str, StartWeights]:
    """What `with_weights` finds in a file, which does not depend on the candidates."""
    return with_weights(study_of(Path(weights)), Watch()).starts


def started(study: StudySpec, label: str, seed: int = 0) -> torch.nn.Module:
    """The network from which the run of a candidate starts."""
    found = study.model_copy(update={"starts": starts_of(str(study.weights))})
    run = next(run for run in found.runs("") if (run.attention.label, run.seed) == (label, seed))
    assert run.weights is not None
    path = Path(run.weights.path)
    return build_network(run.backbone, run.attention, classes=2, channels=3, weights=path, seed=seed)


@pytest.mark.parametrize("mechanism", list_attention())
def test_every_mechanism_starts_as_the_plain_network(weights: Path, mechanism: str) -> None:
    study = study_of(weights, f"none,{mechanism}", seeds=1)
    plain, attended = started(study, "none"), started(study, mechanism)
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(plain.eval()(images), attended.eval()(images))
        assert torch.equal(plain.train()(images), attended.train()(images))


def test_a_start_that_is_given_is_kept_and_named(weights: Path) -> None:
    study = study_of(weights, "none,se,se(identity_init=False),se(identity_init=True,reduction=8)", seeds=1)
    labels = ["none", "se", "se(identity_init=False)", "se(reduction=8)"]
    assert [candidate.label for candidate in study.attention] == labels
    assert [run.attention.label for run in study.runs("")] == labels
    again = [type(run).model_validate(run.model_dump(mode="json")) for run in study.runs("")]
    assert [run.attention.label for run in again] == labels
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        plain, other = (started(study, label).eval()(images) for label in ("none", labels[2]))
    assert not torch.allclose(plain, other)
    start = describe_start(with_weights(study, Watch()))
    assert start.as_baseline == ("se", "se(reduction=8)")
    assert start.from_untrained_gates == ("se(identity_init=False)",)


def test_the_new_head_is_the_same_for_all_candidates_of_a_seed(weights: Path) -> None:
    study = study_of(weights, "none,se,cbam", seeds=2)
    heads = {label: started(study, label).fc.weight for label in ("none", "se", "cbam")}
    assert heads["none"].shape[0] == 2
    assert torch.equal(heads["none"], heads["se"])
    assert torch.equal(heads["none"], heads["cbam"])
    assert not torch.equal(heads["none"], started(study, "none", seed=1).fc.weight)


def test_runs_are_told_apart_by_what_the_weights_are_not_by_where(weights: Path, tmp_path: Path) -> None:
    copied = shutil.copy(weights, tmp_path / "copied.safetensors")

    def ids(file: Path) -> list[str]:
        return [run.id for run in with_weights(study_of(file), Watch()).runs("")]

    assert ids(weights) == ids(copied)
    assert not set(ids(weights)) & set(ids(trained(tmp_path, seed=1)))
    random = make_study({"data": "digits", "backbone": "cifar_resnet8", "attention": "none,se"}, {})
    assert "weights" not in random.runs("")[0].model_dump(mode="json")
    assert not set(ids(weights)) & {run.id for run in random.runs("")}


def test_the_recipe_is_fine_tuning_unless_another_is_given(weights: Path) -> None:
    usual = make_recipe(read_recipe("fine_tuning"))
    assert study_of(weights).recipe == usual
    assert usual.rate("backbone") < usual.rate("head")
    changed = study_of(weights, changes={"epochs": 3, "backbone_rate": 0.5}).recipe
    assert changed == usual.model_copy(update={"epochs": 3, "backbone_rate": 0.5})
    assert study_of(weights, recipe="default").recipe == make_recipe(read_recipe("default"))
    assert study_of(weights, recipe={"epochs": 4}).recipe == usual.model_copy(update={"epochs": 4})


def test_ablations_and_sweeps_start_so_too(weights: Path) -> None:
    ablation = study_of(weights, ablate="dmsca", seeds=1)
    assert all(one.identity_init for one in ablation.attention[1:])
    assert [one.label for one in ablation.attention][:3] == ["none", "GCE", "GCE+TCA"]
    sweep = study_of(weights, sweep="se", values=["identity_init=true,false", "reduction=8"], seeds=1)
    starts = {run.attention.label: run.attention.identity_init for run in sweep.runs("")}
    assert starts == {"none": False, "se": True, "se(identity_init=False)": False, "se(reduction=8)": True}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": "absent.pth"}, "there is no file absent.pth: --weights takes a safetensors file"),
        (
            {"backbone": "cifar_resnet20"},
            "does not hold the weights of cifar_resnet20: .* they lack: layer1.1",
        ),
        (
            {"attention": "none(width=2)"},
            "is another network than the cifar_resnet8 that there are pretrained",
        ),
        ({"pretrained": False}, "the study names weights, .* and pretrained is false"),
        ({"pretrained": "no"}, "pretrained = 'no': expected true or false"),
        ({"backbones": "resnet18", "backbone": None, "attention": None}, "weights are those of one backbone"),
        ({"control": "parameters"}, "leave out --control, or start without"),
    ],
)
def test_what_weights_do_not_fit_is_refused(weights: Path, keys: dict[str, Any], message: str) -> None:
    settings = {
        "data": "digits",
        "backbone": "cifar_resnet8",
        "attention": "none,se",
        "weights": str(weights),
    }
    with pytest.raises(RequestError, match=message):
        with_weights(make_study(settings | keys, {}), Watch())


def test_without_a_connection_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    template = f"http://127.0.0.1:{port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    settings = {"data": "digits", "backbone": "resnet18", "attention": "none,se", "pretrained": True}
    study = make_study(settings, {})
    with pytest.raises(WorkError, match=r"download http://127.0.0.1:.*/timm/resnet18.a1_in1k/resolve"):
        compare(study, tmp_path / "out", Machine("cpu"))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def finished(weights: Path, bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study of grey images that starts from weights for colour ones."""
    out = tmp_path_factory.mktemp("studies") / "fine"
    study = study_of(
        weights,
        "none,se,se(identity_init=False)",
        {"epochs": 2, "batch_size": 8, "augmentation": ""},
        data=str(bands),
        image_size=8,
        seeds=1,
    )
    compare(study, out, Machine("cpu"))
    return out


def test_the_record_says_how_candidates_started(finished: Path, weights: Path) -> None:
    study = read_study(finished).study
    assert study.pretrained
    assert study.start is not None
    (one,) = study.start.weights
    assert (one.backbone, one.file, one.mean, one.image_size) == ("cifar_resnet8", str(weights), MEAN, 24)
    assert study.recipe["backbone_rate"] == 0.1
    spec = next(iter(read_study(finished).results["se"].values())).spec
    assert spec["weights"]["sha256"] == one.sha256
    assert spec["attention"]["label"] == "se"


def test_images_are_normalised_as_the_weights_expect(finished: Path) -> None:
    run = next(finished.glob("runs/*/result.json")).parent
    use = foveate.load(run).pretrained_cfg
    assert use["mean"] == pytest.approx([0.4])  # grey: the mean over the channels
    assert use["std"] == pytest.approx([0.2])


def test_the_report_says_how_candidates_started_and_at_which_rates(finished: Path) -> None:
    summary = build_report(finished)
    assert start_sentences(summary.study) == [
        "Training starts from pretrained weights of cifar_resnet8 (weights0.safetensors, SHA-256 "
        f"{summary.study.weights_sha256[0][:12]}…); images are normalised as these weights expect.",
        "se starts as the baseline does: attention has no effect before it has learned.",
        "se(identity_init=False) does not start as the baseline does: untrained attention changes the "
        "pretrained network from the first step on.",
        "The highest learning rates are 0.002 for the backbone, 0.02 for attention and 0.02 for the head, "
        "after a warm-up over 10 % of the steps.",
    ]
    page = (finished / "report" / "index.html").read_text()
    assert 'id="start"' in page
    assert summary.to_json()["study"]["start"]["as_baseline"] == ["se"]


def test_a_study_from_random_weights_says_nothing_of_its_start(finished: Path) -> None:
    study = read_study(finished).study
    recipe = {key: value for key, value in study.recipe.items() if not key.endswith("_rate")} | {
        "learning_rate": 0.1
    }
    assert start_sentences(study.model_copy(update={"start": None, "recipe": recipe})) == []


def test_processes_read_the_file_and_refuse_another(
    weights: Path, bands: Path, tmp_path: Path, forked_workers: None
) -> None:
    file = Path(shutil.copy(weights, tmp_path / "weights.safetensors"))
    changes = {"epochs": 1, "batch_size": 8, "augmentation": ""}
    study = with_weights(study_of(file, "none,se", changes, data=str(bands), image_size=8, seeds=1), Watch())
    compare(study, tmp_path / "out", Machine("cpu"), executor=LocalProcesses(2))
    assert len(list((tmp_path / "out").glob("runs/*/result.json"))) == 2
    file.write_bytes(trained(tmp_path, seed=1).read_bytes())
    with pytest.raises(WorkError, match="is not the file any more that the study began with"):
        compare(study, tmp_path / "other", Machine("cpu"))


def test_a_plan_takes_weights_too(finished: Path, weights: Path, bands: Path) -> None:
    changes = {"epochs": 2, "batch_size": 8, "augmentation": ""}
    study = study_of(
        weights, "none,se,se(identity_init=False)", changes, data=str(bands), image_size=8, seeds=2
    )
    planned = plan(study, finished, Machine("cpu"))
    assert (planned.runs, planned.finished) == (6, 3)
    assert [row.left for row in planned.candidates] == [1, 1, 1]


def test_other_weights_are_another_study_and_take_another_default_folder(
    finished: Path, weights: Path, bands: Path, tmp_path: Path
) -> None:
    changes = {"epochs": 2, "batch_size": 8, "augmentation": ""}

    def place(file: Path) -> Path:
        study = study_of(file, changes=changes, data=str(bands), image_size=8, seeds=1)
        return choose_folder(study, finished, Machine("cpu"), Watch())[0]

    assert place(weights) == finished
    assert place(trained(tmp_path, seed=1)) == finished.with_name(f"{finished.name}-2")
