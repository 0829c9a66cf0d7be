"""Find trained networks: runs of a study, files of weights from anywhere, names that timm knows."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from timm.data import resolve_model_data_config
from torch import nn

from foveate.attention import list_attention
from foveate.data.greys import GreyRange
from foveate.errors import RequestError, shortened
from foveate.files import file_sha256
from foveate.inspection.sources import DescribedWeights, Pretrained, Run, Study, Weights, find_source
from foveate.inspection.trained import Trained
from foveate.models import load, load_weights
from foveate.models.backbones.create import create_backbone
from foveate.models.backbones.fetch import fetch_weights
from foveate.models.backbones.head import declared_head
from foveate.models.backbones.names import DETECTION as DETECTION_PREFIX
from foveate.models.backbones.names import SEGMENTATION as SEGMENTATION_PREFIX
from foveate.models.checkpoint.attention_groups import AttentionGroup, describe_attention
from foveate.models.checkpoint.custom_code import find_custom_code
from foveate.models.checkpoint.description import read_description
from foveate.models.checkpoint.file_names import WEIGHTS
from foveate.models.checkpoint.pretrained import create_pretrained
from foveate.models.checkpoint.size_limits import built_within
from foveate.models.checkpoint.state_dicts import check_weights, without_wrappers
from foveate.models.checkpoint.weight_files import read_safetensors
from foveate.names import cleaned
from foveate.records.base import reading
from foveate.records.file_names import RESULT, RUNS, STUDY
from foveate.records.files import read_record
from foveate.records.labels import BASELINE, display_name, name_in_sentence
from foveate.records.metric import CLASSIFICATION, DETECTION, SEGMENTATION
from foveate.records.run import RunRecord
from foveate.records.study import StudyRecord
from foveate.studies.engine.folder import find_result
from foveate.studies.spec.study import RunSpec

__all__ = ["find_trained"]


def find_trained(sources: Sequence[str], *, trust_code: bool = False) -> list[Trained]:
    """Find the networks that `sources` name, in their order.

    Each source is the folder of a study (all its finished runs) or of one run, a file of `foveate.save`,
    BACKBONE=FILE for weights without a description, or a name that timm has pretrained weights for (those of
    torchvision after `torchvision/`). A source that exists as a path is taken as a path. With `trust_code`
    the source code of mechanisms that are not foveate's, which their files hold, is run.

    Raises:
        RequestError: no such network, weights that do not fit, two networks with the same name, or code that
            would have to be trusted.
    """
    found = _with_unique_names([trained for source in sources for trained in _find(source, trust_code)])
    places = Counter((trained.label, trained.seed) for trained in found)
    if [one for one in found if places[one.label, one.seed] > 1 and one.seed is not None]:
        raise RequestError(
            "two runs of the same mechanism and seed were given, from different studies: give the runs of "
            "one study at a time, and join the reports"
        )
    # Labels are of mechanisms on the same network. Where the networks differ, the name is the label.
    foreign = [one for one in found if one.seed is None]
    alike = len(foreign) == len(found) and len({one.backbone for one in foreign}) == 1
    return [
        replace(one, label=one.name)
        if one.seed is None and (not alike or places[one.label, one.seed] > 1)
        else one
        for one in found
    ]


def _with_unique_names(found: Sequence[Trained]) -> list[Trained]:
    """Add the names of their folders to files of the same name, and refuse a network that is given twice."""
    names = Counter(one.name for one in found)
    apart = [
        replace(one, name=f"{one.path.resolve().parent.name}/{one.name}")
        if names[one.name] > 1 and one.path is not None and one.seed is None
        else one
        for one in found
    ]
    twice = [name for name, times in Counter(one.name for one in apart).items() if times > 1]
    if twice:
        raise RequestError(f"{shortened(twice)} was given more than once: give each network once")
    return apart


def _find(source: str, trust_code: bool) -> Iterator[Trained]:
    match find_source(source):
        case Study(folder):
            yield from _runs(folder, trust_code)
        case Run(folder):
            yield _run(folder, trust_code)
        case DescribedWeights(file):
            yield _file(file, trust_code)
        case Weights(backbone, file):
            yield _weights(backbone, file)
        case Pretrained(name):
            yield _pretrained(name)


def _runs(study: Path, trust_code: bool) -> Iterator[Trained]:
    runs = [study / RUNS / run.id for run in read_record(study / STUDY, StudyRecord).runs]
    finished = [run for run in runs if (run / RESULT).is_file()]
    if not finished:
        raise RequestError(f"no run of the study in {study} has finished: give the study's command again")
    yield from (_run(run, trust_code) for run in finished)


def _run(folder: Path, trust_code: bool) -> Trained:
    result = find_result(folder)
    assert result is not None
    with reading(folder / RESULT):
        settings: dict[str, Any] = copy.deepcopy(result.spec)
        label = str(settings["attention"].pop("label"))
        spec = RunSpec.model_validate(settings)
    study = folder.resolve().parent.parent
    weights = _file(folder / WEIGHTS[0], trust_code)
    _check_weights(weights, spec, result, label)
    return replace(
        weights,
        name=result.id,
        label=label,
        backbone=spec.backbone,
        seed=spec.seed,
        task=spec.task,
        spec=spec,
        folder=study if (study / STUDY).is_file() else None,
        greys=GreyRange(*map(int, result.data.greys)) if result.data and result.data.greys else None,
    )


def _check_weights(weights: Trained, spec: RunSpec, result: RunRecord, label: str) -> None:
    """Refuse weights that are not those of the run; records of 0.1.0 have no checksum of them."""
    assert weights.path is not None
    run = f"run {result.id} ({display_name(label)}, seed {spec.seed})"
    remedy = "Put the run's own file there, or delete the run's folder and give the study's command again"
    # A registered name such as resnet50_dmsca brings attention of its own.
    own = {name for name in list_attention() if spec.backbone.partition(".")[0].endswith(f"_{name}")}
    held, expected = set(weights.mechanisms), {spec.attention.name} - {BASELINE}
    if held - own != expected - own:
        raise RequestError(
            f"{weights.path} holds weights of {name_in_sentence(weights.label)}, and it lies in the folder "
            f"of {run}. {remedy}"
        )
    if result.weights_sha256 not in (None, file_sha256(weights.path)):
        raise RequestError(
            f"{weights.path} is not the file that {run} wrote: its checksum is another. {remedy}"
        )


def _file(path: Path, trust_code: bool) -> Trained:
    tensors, metadata = read_safetensors(path)
    description = read_description(metadata, path, tensors)
    backbone, images = description.backbone, description.preprocessing
    if backbone is None or images is None:
        raise RequestError(
            f"{path} does not say how its {description.network} is built, or what images it takes: save it "
            "with backbone= and preprocessing="
        )
    mechanisms = _mechanisms(description.attention)
    find_custom_code(
        path, mechanisms, description.sources, given=None, trust_code=trust_code
    )  # or it refuses
    return Trained(
        name=path.stem if path.name not in WEIGHTS else path.resolve().parent.name,
        label=_label(mechanisms),
        mechanisms=mechanisms,
        backbone=backbone.name,
        task=_task_of(backbone.name),
        seed=None,
        digest=_digest(path),
        path=path,
        classes=tuple(map(cleaned, description.classes or map(str, range(backbone.outputs or 1000)))),
        input_size=images["input_size"],
        mean=images["mean"],
        std=images["std"],
        build=partial(load, path, trust_code=trust_code),
    )


def _task_of(network: str) -> str:
    """Return the task of a network by the name of the call that builds it."""
    known = {DETECTION_PREFIX: DETECTION.name, SEGMENTATION_PREFIX: SEGMENTATION.name}
    return next((task for prefix, task in known.items() if network.startswith(prefix)), CLASSIFICATION.name)


def _mechanisms(groups: Sequence[AttentionGroup]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(group.name for group in groups))


def _label(mechanisms: tuple[str, ...]) -> str:
    return "+".join(mechanisms) or BASELINE


def _weights(backbone: str, file: Path) -> Trained:
    """Find weights without a description, of a registered name, which may have attention (resnet50_dmsca)."""
    named, _ = read_safetensors(file)
    with torch.device("meta"):
        network = create_backbone(backbone, classes=2)
    classifier, tensors = declared_head(network), without_wrappers(named, network)
    if f"{classifier}.weight" not in tensors:
        raise RequestError(f"{file} has no {classifier}.weight: these are no weights of a {backbone}")
    classes = len(tensors[f"{classifier}.weight"])
    with built_within(tensors), torch.device("meta"):
        check_weights(create_backbone(backbone, classes=classes), tensors)

    def build() -> nn.Module:
        network = create_backbone(backbone, classes=classes)
        load_weights(network, file)
        return network

    network = build()
    return replace(
        _described(network, backbone, classes), name=file.stem, digest=_digest(file), path=file, build=build
    )


def _pretrained(name: str) -> Trained:
    with torch.device("meta"):
        classes = int(
            getattr(create_backbone(name, classes=1000), "pretrained_cfg", {}).get("num_classes", 1000)
        )
    build = partial(create_pretrained, name, fetch_weights(name), classes=classes)
    return replace(_described(build(), name, classes), build=build)


def _described(network: nn.Module, backbone: str, classes: int) -> Trained:
    """Describe a network by its timm configuration and its attention."""
    config = resolve_model_data_config(network)
    mechanisms = _mechanisms(describe_attention(network))
    names = getattr(network, "pretrained_cfg", {}).get("label_names") or map(str, range(classes))
    return Trained(
        name=backbone,
        label=_label(mechanisms),
        mechanisms=mechanisms,
        backbone=backbone,
        seed=None,
        digest=backbone,
        classes=tuple(map(cleaned, names)),
        input_size=tuple(config["input_size"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _digest(path: Path) -> str:
    return file_sha256(path)[:16]
