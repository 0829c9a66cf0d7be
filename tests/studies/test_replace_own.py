"""Studies on a backbone that has attention of its own: it is said, and replaced where that is asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import foveate
from foveate.errors import RequestError
from foveate.models import attached
from foveate.models.sites.own import own_attention, removed_own
from foveate.records.own_attention import OwnAttentionRecord
from foveate.records.study import read_study
from foveate.report.joined.differences import find_differences
from foveate.report.study.build import build_report
from foveate.report.study.start import start_sentences
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.joining import difference
from foveate.studies.engine.network import describe_own_attention, find_own_attention
from foveate.studies.engine.network_checks import check_networks
from foveate.studies.engine.watch import Watch
from foveate.studies.plan import plan
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec

CPU = Machine("cpu", threads=1)
BACKBONE = "mobilenetv3_small_050"


class Notes(Watch):
    """Writes down what the study says at the start."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def study(data: str, **settings: Any) -> StudySpec:
    keys = {"backbone": BACKBONE, "attention": "none,eca", "seeds": 1} | settings
    recipe = {"epochs": 1, "batch_size": 16, "augmentation": ("crop",)}
    return make_study(
        {"data": data} | {key: value for key, value in keys.items() if value is not None}, recipe
    )


def test_the_sentence_says_what_is_compared() -> None:
    own = describe_own_attention("mobilenetv3_large_100", replaced=False)
    assert own is not None
    assert own.sentence == (
        "mobilenetv3_large_100 has squeeze-and-excitation of its own in 8 blocks; mechanisms are added on "
        "top of it; --replace-own puts them in its place."
    )
    replaced = OwnAttentionRecord(backbone="x", kinds=("a", "b"), blocks=1, replaced=True)
    assert replaced.sentence == (
        "x has a and b of its own in 1 block, which is replaced: the baseline is without it, and mechanisms "
        "are in its place."
    )


@pytest.mark.parametrize("backbone", ["torchvision/regnet_y_400mf", "efficientnet_b0", "seresnet50"])
def test_own_attention_is_found_by_the_modules_of_the_backbone(backbone: str) -> None:
    assert describe_own_attention(backbone, replaced=False) is not None


@pytest.mark.parametrize("backbone", ["cifar_resnet8", "resnet18_se", "torchvision/resnet18"])
def test_backbones_without_it_have_nothing_to_say(backbone: str) -> None:
    assert find_own_attention(study("digits", backbone=backbone)) == ()


def test_whole_networks_that_are_compared_as_they_are_have_nothing_to_say() -> None:
    networks = study("digits", backbone=None, attention=None, backbones=f"{BACKBONE},resnet18")
    assert find_own_attention(networks) == ()


def test_the_hash_of_a_run_says_it_only_where_it_is_asked_for() -> None:
    usual, replaced = study("digits"), study("digits", replace_own=True)
    for spec in (usual, *usual.runs("f")):
        assert "replace_own" not in spec.model_dump(mode="json")
    assert [run.model_dump(mode="json")["replace_own"] for run in replaced.runs("f")] == [True, True]
    assert not {run.id for run in usual.runs("f")} & {run.id for run in replaced.runs("f")}


def test_a_backbone_without_it_is_refused_before_any_work() -> None:
    with pytest.raises(RequestError, match=r"cifar_resnet8 has no attention of its own .* --replace-own"):
        check_networks(study("digits", backbone="cifar_resnet8", replace_own=True))


def test_a_study_replaces_it_in_every_network_and_the_report_says_so(bands: Path, tmp_path: Path) -> None:
    spec, watch, out = study(str(bands), replace_own=True), Notes(), tmp_path / "out"
    compare(spec, out, CPU, watch=watch)
    page = build_report(out)
    records = read_study(out)
    record = records.study
    (own,) = record.own_attention
    assert own.replaced
    assert own.sentence in watch.notes
    assert own.sentence in start_sentences(record)
    assert own.sentence in (out / "report" / "index.html").read_text()
    assert not page.missing
    for run in record.runs:
        network = foveate.load(out / "runs" / run.id)
        assert own_attention(network) == []
        assert len(removed_own(network)) == own.blocks
        assert len(attached(network)) == (own.blocks if run.attention == "eca" else 0)
    # The same study with the network's own attention in is another one.
    assert "replace_own True instead of False" in str(difference(study(str(bands)), record))
    assert difference(spec, record) is None
    usual = replace(records, study=record.model_copy(update={"own_attention": ()}))
    assert [(one.key, one.values) for one in find_differences([records, usual])] == [
        ("replace_own", (True, False))
    ]
    assert page.to_json()["study"]["own_attention"] == [own.to_json()]


def test_plan_says_it_too(bands: Path, tmp_path: Path) -> None:
    watch = Notes()
    plan(study(str(bands)), tmp_path / "out", CPU, watch=watch)
    own = describe_own_attention(BACKBONE, replaced=False)
    assert own is not None
    assert watch.notes == [own.sentence]


def test_controls_are_matched_without_it() -> None:
    from foveate.studies.engine.matching import match_controls

    spec = study("digits", attention="none,se(reduction=4)", replace_own=True)
    sizes = {"classes": 4, "channels": 3, "image_size": 32, "device": CPU.torch_device}
    (control,) = match_controls(BACKBONE, spec.attention, "parameters", **sizes, replace_own=True)
    (on_top,) = match_controls(BACKBONE, spec.attention, "parameters", **sizes)
    assert control.asked < on_top.asked
