import pytest

from foveate.records.labels import display_name, name_in_sentence, name_with_seed


@pytest.mark.parametrize(
    ("label", "name", "in_sentence"),
    [
        ("none", "baseline", "the baseline"),
        ("none(width=1.5)", "baseline(width=1.5)", "baseline(width=1.5)"),
        ("se", "se", "se"),
        ("dmsca(reduction=8)", "dmsca(reduction=8)", "dmsca(reduction=8)"),
        ("nonesuch", "nonesuch", "nonesuch"),
    ],
)
def test_a_person_reads_baseline(label: str, name: str, in_sentence: str) -> None:
    assert display_name(label) == name
    assert name_in_sentence(label) == in_sentence
    assert name_with_seed(label, None) == name
    assert name_with_seed(label, 3) == f"{name}, seed 3"
