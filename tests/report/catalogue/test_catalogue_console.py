"""`foveate list` on a terminal of 100 columns."""

import io

import pytest
from rich.console import Console

from foveate.profiling.catalogue import catalogue
from foveate.records.catalogue import Catalogue, ListedMechanism
from foveate.report.catalogue.console import _place, catalogue_table


@pytest.fixture(scope="module")
def described() -> Catalogue:
    return catalogue()


def test_table_fits_100_columns_and_cuts_nothing(described):
    text = shown(described, width=100)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "…" not in text
    for row in described.mechanisms:
        (line,) = [line for line in lines if line.split()[:2] == [row.name, _place(row).split()[0]]]
        assert _place(row) in line
        assert row.paper in text
        for option, value in row.options.items():
            assert f"{option}={value}" in text


def shown(described: Catalogue, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(catalogue_table(described))
    return file.getvalue()


def test_numbers_stand_under_one_another_in_the_house_notation(described):
    lines = shown(described, width=100).splitlines()
    (header,) = [line for line in lines if line.startswith("mechanism")]
    (se,) = [line for line in lines if line.startswith("se ")]
    (eca,) = [line for line in lines if line.startswith("eca ")]
    assert "2.53 M    +9.9 %  2.51 M   +0.06 %  reduction=16" in se
    assert "86  < 0.01 %" in eca
    for line in (se, eca):
        assert line[: header.index("parameters") + len("parameters")].endswith("%")
    (simam,) = [line for line in lines if line.startswith("simam ")]
    assert "%" not in simam
    assert "sgfa, sgfa_ca and sgu" in " ".join(lines)


@pytest.mark.parametrize(
    ("where", "stages", "words"),
    [
        ("block", None, "block"),
        ("stage", None, "stage"),
        ("stage", [1, 2, 3], "stages 1–3"),
        ("stage", [4], "stage 4"),
        ("stage", [2, 4], "stages 2 and 4"),
        ("block", [3, 4], "block, stages 3–4"),
    ],
)
def test_places_in_words(where, stages, words):
    row = ListedMechanism.model_construct(where=where, stages=stages and tuple(stages))
    assert _place(row) == words
