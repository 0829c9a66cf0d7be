import inspect
from pathlib import Path

import pytest
import torch

from foveate.attention import create_attention
from foveate.attention.dmsca import DMSCA
from foveate.attention.sgfa import SCPA, SGFA, SGU, SGFAChannelMask
from foveate.errors import RequestError
from foveate.report.study.build import build_report
from foveate.studies.compare import compare
from foveate.studies.engine.fitting import Machine
from foveate.studies.spec.ablation import DMSCA_PARTS, plan_ablation
from foveate.studies.spec.candidate import Candidate, read_candidate
from foveate.studies.spec.making import make_study


def parts_of(candidate: Candidate) -> set[str]:
    """The parts that the candidate's module really has."""
    if candidate.name == "none":
        return set()
    module = create_attention(candidate.name, channels=32, **candidate.options)
    assert isinstance(module, DMSCA)
    names = {
        name.upper() for name in ("gce", "msce", "dii", "dff", "aa") if getattr(module, name) is not None
    }
    learned = module.tca is not None and hasattr(module.tca, "log_tau")
    return names | ({"TCA"} if learned else set())


EVERY = {"GCE", "TCA", "MSCE", "DII", "DFF", "AA"}


def test_each_contrast_of_dmsca_differs_by_the_part_that_it_names() -> None:
    candidates, design = plan_ablation(read_candidate("dmsca"))
    by_label = {candidate.label: candidate for candidate in candidates}
    assert len(by_label) == len(candidates) == 13
    groups: dict[str, list[str]] = {}
    for contrast in design.contrasts:
        groups.setdefault(contrast.group, []).append(contrast.title)
        before, after = parts_of(by_label[contrast.a]), parts_of(by_label[contrast.b])
        if contrast.group == "left out one at a time" and contrast.title == "GCE":
            assert after - before == {"GCE", "TCA"}  # nothing is left for the TCA to temper
        elif contrast.group == "all of it":
            assert (before, after) == (set(), EVERY)
        else:
            assert after - before == {contrast.title}
            assert before < after
    order = ["GCE", "TCA", "MSCE", "DII", "DFF", "AA"]
    assert groups == {
        "added one at a time": order,
        "left out one at a time": order,
        "alone": ["MSCE"],
        "all of it": ["DMSCA"],
    }


def test_what_dmsca_is_given_stays_wherever_the_part_is() -> None:
    given = read_candidate("dmsca(reduction=4,kernel_sizes=[3],mid_channels=2,fusion_init=0.5,stages=2)")
    candidates, _ = plan_ablation(given)
    for candidate in candidates[1:]:
        create_attention("dmsca", channels=32, **candidate.options)  # refuses options of absent parts
        assert candidate.stages == (2,)
        assert ("reduction" in candidate.options) == ("GCE" in parts_of(candidate))
        assert ("kernel_sizes" in candidate.options) == ("MSCE" in parts_of(candidate))


def test_every_option_of_dmsca_is_known_to_its_ablation() -> None:
    options = set(inspect.signature(DMSCA).parameters) - {"channels"}
    known = {key for part in DMSCA_PARTS for key in (*part.absent, *part.needed_by)}
    assert options == known


def test_sgfa_is_taken_apart_as_in_its_table() -> None:
    candidates, design = plan_ablation(read_candidate("sgfa(reduction=8,kernel_size=5)"))
    modules = [type(create_attention(one.name, channels=32, **one.options)) for one in candidates[1:]]
    assert modules == [SGFAChannelMask, SCPA, SGU, SGFA]
    labels = [one.label for one in candidates]
    assert labels[1:3] == ["sgfa_ca(reduction=8)", "scpa(reduction=8,kernel_size=5)"]
    assert [(one.a, one.b) for one in design.contrasts][-2:] == [
        (labels[3], labels[4]),
        (labels[2], labels[4]),
    ]


def test_the_options_of_sgfa_reach_its_parts() -> None:
    candidates, _ = plan_ablation(read_candidate("sgfa(reduction=8,kernel_size=5,expansion=2)"))
    options = {one.name: one.options for one in candidates}
    assert options["sgfa_ca"] == {"reduction": 8}
    assert options["scpa"] == {"reduction": 8, "kernel_size": 5}
    assert options["sgu"] == {"expansion": 2, "kernel_size": 5}


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        ("se", "se has no parts that can be removed: ablate takes dmsca, sgfa, or a class of your own"),
        ("dmsca(aa=False)", "the ablation itself sets aa"),
        ("dmsca(temperature=2)", "the ablation itself sets temperature"),
        ("none", "ablate takes a mechanism"),
        ("dmcsa", "unknown attention 'dmcsa'. Did you mean 'dmsca'"),
    ],
)
def test_what_cannot_be_taken_apart_is_named(mechanism: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_study({"data": "digits", "backbone": "cifar_resnet8", "ablate": mechanism}, {})


def test_a_variant_is_one_run_whatever_it_is_called() -> None:
    ablated = make_study({"data": "digits", "backbone": "cifar_resnet8", "ablate": "dmsca", "seeds": 1}, {})
    compared = make_study(
        {
            "data": "digits",
            "backbone": "cifar_resnet8",
            "attention": "none,dmsca,dmsca(aa=False)",
            "seeds": 1,
        },
        {},
    )
    ids = {run.attention.label: run.id for run in ablated.runs("f")}
    again = {run.attention.label: run.id for run in compared.runs("f")}
    assert ids["none"] == again["none"]
    assert ids["dmsca"] == again["dmsca"]
    assert ids["GCE+TCA+MSCE+DII+DFF"] == again["dmsca(aa=False)"]
    assert len(set(ids.values())) == 13


def test_absent_parts_have_no_weights() -> None:
    candidates, _ = plan_ablation(read_candidate("dmsca"))
    counts = {}
    for candidate in candidates[1:]:
        module = create_attention("dmsca", channels=32, **candidate.options)
        counts[candidate.label] = sum(parameter.numel() for parameter in module.parameters())
        assert module(torch.zeros(2, 32, 5, 5)).shape == (2, 32, 5, 5)
    assert counts["GCE"] == 2 * 32 * 2
    assert counts["GCE+TCA"] == counts["GCE"] + 1
    assert counts["dmsca"] == counts["GCE+TCA+MSCE+DII+DFF"] + 33
    assert counts["dmsca"] == counts["without DFF"] + 2 * 64 + 2


@pytest.mark.slow
def test_an_ablation_from_end_to_end(bands: Path, tmp_path: Path) -> None:
    settings = {"data": str(bands), "backbone": "cifar_resnet8", "ablate": "dmsca(stages=1)", "seeds": 1}
    study = make_study(settings, {"epochs": 1, "batch_size": 16, "augmentation": ("crop",)})
    compare(study, tmp_path, Machine("cpu", threads=1))
    summary = build_report(tmp_path).to_json()
    assert len(summary["rows"]) == 13
    assert len(summary["tests"]) == 14
    assert summary["study"]["cost"]["conditions"]["path"] == "reference"
    parameters = {row["attention"]: row["parameters"] for row in summary["rows"]}
    assert parameters["dmsca(stages=[1])"] > parameters["without DFF of dmsca(stages=[1])"]
