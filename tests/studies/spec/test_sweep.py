from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.studies.engine.network_checks import check_networks
from foveate.studies.spec.candidate import read_candidate
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import StudySpec
from foveate.studies.spec.sweep import combine, parse_values, swept_values

DIGITS = {"data": "digits", "backbone": "cifar_resnet8"}


def sweep(mechanism: str, *values: str) -> StudySpec:
    return make_study(DIGITS | {"sweep": mechanism, "values": list(values)}, {})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("reduction=4,8,16", [4, 8, 16]),
        ("temperature=0.5,1,learned", [0.5, 1, "learned"]),
        ("kernel_sizes=3|3,5|3,5,7", [[3], [3, 5], [3, 5, 7]]),
        ("kernel-sizes=3", [[3]]),
        ("aa=true,false", [True, False]),
        ("stages=1|1,2", [[1], [1, 2]]),
        ("where=block,stage", ["block", "stage"]),
        ("temperature=1e-3,1.5e1", [0.001, 15.0]),
    ],
)
def test_values_are_read_as_a_person_writes_them(text: str, values: list[Any]) -> None:
    option, read = parse_values(read_candidate("dmsca"), text)
    assert option == text.partition("=")[0].replace("-", "_")
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


def test_one_option_varies_and_the_others_stay() -> None:
    study = sweep("dmsca(reduction=8)", "temperature=1,learned", "kernel_sizes=3|3,5,7")
    assert [candidate.label for candidate in study.attention] == [
        "none",
        "dmsca(reduction=8)",
        "dmsca(reduction=8,temperature=1)",
        "dmsca(reduction=8,kernel_sizes=[3])",
    ]
    assert [(value.option, value.value, value.label) for value in study.design.values] == [
        ("temperature", "1", "dmsca(reduction=8,temperature=1)"),
        ("temperature", "learned", "dmsca(reduction=8)"),
        ("kernel_sizes", "3", "dmsca(reduction=8,kernel_sizes=[3])"),
        ("kernel_sizes", "3,5,7", "dmsca(reduction=8)"),
    ]
    assert [(one.a, one.b, one.group) for one in study.design.contrasts] == [
        ("none", "dmsca(reduction=8)", "against plain"),
        ("dmsca(reduction=8)", "dmsca(reduction=8,temperature=1)", "temperature"),
        ("dmsca(reduction=8)", "dmsca(reduction=8,kernel_sizes=[3])", "kernel_sizes"),
    ]
    assert study.name == "digits-cifar_resnet8-sweep-dmsca"


def test_a_study_file_gives_the_same_sweep() -> None:
    in_file = make_study(
        DIGITS | {"sweep": "dmsca", "values": {"kernel_sizes": [[3], [3, 5]], "temperature": ["learned", 2]}},
        {},
    )
    assert in_file == sweep("dmsca", "kernel_sizes=3|3,5", "temperature=learned,2")


def test_a_switch_is_no_number() -> None:
    study = sweep("dmsca", "aa=true,false")
    assert [value.label for value in study.design.values] == ["dmsca", "dmsca(aa=False)"]
    assert sweep("se", "reduction=1").attention[2].options == {"reduction": 1}


def test_placement_is_swept_like_an_option() -> None:
    study = sweep("se", "stages=1|2,3", "identity_init=true")
    assert study.attention[2].stages == (1,)
    assert study.attention[3].stages == (2, 3)
    assert study.attention[4].identity_init is True


def test_values_of_several_options_are_combined() -> None:
    study = sweep("dmsca", "reduction=4,16", "temperature=1,learned")
    values = swept_values(study.attention, study.design)
    assert values == {"reduction": {"4": 4, "16": 16}, "temperature": {"1": 1, "learned": None}}
    given = study.attention[1]
    assert combine(given, {"reduction": 16, "temperature": None}).label == "dmsca"
    assert combine(given, {"reduction": 4, "temperature": 1}).options == {"reduction": 4, "temperature": 1}


@pytest.mark.parametrize(
    ("mechanism", "values", "message"),
    [
        ("dmsca", [], "sweep dmsca names no option: give for example reduction=4,8,16"),
        ("dmsca", ["reduction"], "sweep takes OPTION=VALUE,VALUE, .* given 'reduction'"),
        ("dmsca", ["reduction="], "given 'reduction='"),
        ("dmsca", ["reduction=4,,8"], "a value is empty"),
        ("dmsca", ["reduction=4,4"], "sweep reduction names 4 more than once"),
        ("dmsca", ["reduction=4", "reduction=8"], "names reduction more than once"),
        ("dmsca", ["reducton=4"], "unknown option of dmsca 'reducton'. Did you mean 'reduction'"),
        ("se", ["kernel_sizes=3"], "unknown option of se 'kernel_sizes'"),
        ("none", ["width=2"], "sweep takes a mechanism"),
        ("dmsca", ["temperature=1,1.0"], "sweep temperature names 1.0 more than once"),
        ("se", ["where=stage,bogus"], "sweep where=bogus: where: Input should be 'block' or 'stage'"),
        ("se", ["stages=x"], "sweep stages=.*x.*: stages"),
        ("se", ["identity_init=maybe"], "sweep identity_init=maybe"),
    ],
)
def test_what_cannot_be_swept_is_named(mechanism: str, values: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        sweep(mechanism, *values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (3, "sweep values 3: expected options with their values"),
        ([3], "sweep values .3.: expected options"),
        ({3: [4]}, "sweep values 3: expected the name of an option"),
        ({"reduction": 4}, "sweep reduction = 4: expected a list"),
        ({"reduction": []}, "expected a list of values"),
    ],
)
def test_wrong_types_in_a_study_file_are_named(values: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_study(DIGITS | {"sweep": "dmsca", "values": values}, {})


def test_a_single_text_is_one_option() -> None:
    assert make_study(DIGITS | {"sweep": "dmsca", "values": "reduction=4,8"}, {}) == sweep(
        "dmsca", "reduction=4,8"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("reduction=4,4096", "reduction=4096 leaves none of"),
        ("kernel_sizes=3|4", r"dmsca\(kernel_sizes=\[4\]\) on cifar_resnet8: .*got 4"),
        ("temperature=1,-1", "temperature=-1.* above 0"),
        ("stages=1|9", "stages=.9"),
    ],
)
def test_a_value_that_the_mechanism_refuses_is_named_before_any_work(values: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_networks(sweep("dmsca", values))
