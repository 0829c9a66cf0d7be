import pytest

from foveate.errors import RequestError
from foveate.studies.spec.candidate import Candidate, parse_candidates


def test_names_and_calls() -> None:
    plain, se, dmsca = parse_candidates("none, se,dmsca(kernel_sizes=[3,5],where=stage,stages=2)")
    assert (plain.name, se.name) == ("none", "se")
    assert dmsca == Candidate(name="dmsca", options={"kernel_sizes": [3, 5]}, where="stage", stages=(2,))


@pytest.mark.parametrize(
    "label",
    [
        "se",
        "dmsca(reduction=8)",
        "dmsca(kernel_sizes=[3,5],where=stage,stages=[1,2],identity_init=True)",
        'se(reduction=8,at=["features.3","features.8"])',
    ],
)
def test_a_label_reads_back_as_itself(label: str) -> None:
    (candidate,) = parse_candidates([label])
    assert candidate.label == label
    assert parse_candidates(candidate.label) == (candidate,)


def test_one_module_needs_no_list() -> None:
    assert parse_candidates("se(at='features.3')") == parse_candidates("se(at=['features.3'])")


def test_yaml_lists_with_options() -> None:
    assert parse_candidates(["none", {"dmsca": {"reduction": 8}}]) == parse_candidates(
        "none,dmsca(reduction=8)"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("none,dmcsa", "unknown attention 'dmcsa'. Did you mean 'dmsca'"),
        ("se,cbam,se", "names se more than once"),
        ("", "names nothing"),
        ("dmsca(8)", r"expected for example dmsca\(reduction=8"),
        ("dmsca(reduction=)", r"expected for example dmsca\(reduction=8"),
        ("dmsca(reduction=__import__('os'))", "expected for example"),
        ("se(reduction=4,reduction=8)", "gives reduction more than once: give it once"),
        ("se(**{})", "expected for example"),
        ("se(reduction=" + "-" * 5000 + "1)", "expected for example"),
        ("se(reduction=" + "9" * 5000 + ")", "expected for example"),
        ("se(reduction=1e999)", "reduction is inf; expected a finite number"),
        ("se(reduction={1})", r"reduction is \{1\}; expected a finite number"),
        ("none(width=True)", "width: .*not true or false"),
        ("se(stages=[True])", "not true or false"),
        ("none(reduction=8)", "the baseline takes width and extra_blocks alone"),
        ("se(where=everywhere)", "where: Input should be 'block' or 'stage'"),
        ([["se"]], "expected a name"),
        (["none", {"dmsca": 8}], "expected a name, or one name with its options"),
        ({"dmsca": {"reduction": 8}}, "expected a list"),
        (5, "expected a list"),
    ],
)
def test_what_cannot_be_read_is_named(given: object, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_candidates(given)  # type: ignore[arg-type]


def test_names_are_understood_as_people_write_them():
    labels = [one.label for one in parse_candidates("Baseline,CBAM,Se(reduction=8),SGFA-CA")]
    assert labels == ["none", "cbam", "se(reduction=8)", "sgfa_ca"]
    assert [one.label for one in parse_candidates(["plain", {"DMSCA": {"reduction": 8}}])] == [
        "none",
        "dmsca(reduction=8)",
    ]
    with pytest.raises(RequestError, match="names none more than once"):
        parse_candidates("none,plain")
