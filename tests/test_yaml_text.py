"""What can make a YAML reader fail, or read something else than what stands there, is refused in words."""

from pathlib import Path

import pytest

from foveate.errors import RequestError
from foveate.yaml_text import parse_yaml, read_yaml

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{this}: &{this} [{', '.join(f'*{last}' for _ in range(10))}]\n"
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{this}: &{this}\n  <<: [{', '.join(f'*{last}' for _ in range(10))}]\n"
    for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 100,000 values"),
        (MERGES, "more than 100,000 values"),
        ("a: &a [*a]", "contains itself"),
        ("[" * 40 + "]" * 40, "is nested more than 32 levels deep"),
        ("[" * 5000, "nested too deeply"),
        ("epochs: 1\nseeds: 2\nepochs: 3\n", r"gives 'epochs' twice \(line 3\)"),
        ("data: x\nno: 5\n", r'the key no \(line 2\), which YAML reads as true or false: .* quotes, "no"'),
        ("007: x", 'the key 007 .*reads as a number: .* quotes, "007"'),
        ("2024-01-01: x", "reads as a timestamp"),
        ("a: 2024-99-99", "is not YAML"),
        ("a: " + "9" * 5000, "is not YAML"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_cannot_be_is_said(text: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        parse_yaml(text)


def test_a_few_aliases_and_merges_are_read() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }


def test_names_only_takes_everything_as_text() -> None:
    assert parse_yaml("no: 007\n1e3: [on, null]", names_only=True) == {"no": "007", "1e3": ["on", "null"]}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(RequestError, match="/dev/zero has more than 1,048,576 characters"):
        read_yaml(Path("/dev/zero"))
