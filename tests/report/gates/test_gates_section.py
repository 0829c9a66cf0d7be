"""The section on gates is made from its record alone."""

from typing import Any

import pytest

from foveate.records.gates import GatesRecord
from foveate.report.core.files import as_latex, as_markdown, as_svg
from foveate.report.core.section import Section
from foveate.report.gates.section import gates_section

KINDS = ("whole", "channel", "spatial", "swapped")
IMAGES, RIGHT = 2000, 1800


def score(lost: int, gained: int) -> dict[str, Any]:
    return {"accuracy": (RIGHT - lost + gained) / IMAGES, "lost": lost, "gained": gained}


def row(
    label: str, seed: int | None, changes: list[tuple[int, int]], factors: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The row of a network; `changes` are the lost and gained images by site, doubled for a swapped gate."""
    key = {
        "network": "digest",
        "name": f"{label}{seed}",
        "backbone": "cifar_resnet8",
        "images": "fingerprint",
    }
    gates = [
        {
            "site": f"layer{number}",
            "path": f"layer{number}.attention",
            "factor": factors[number] if factors else None,
            "mean": 0.5,
            "between_images": 0.1,
            "share": 0.2 * number,
            "channel_share": 0.1,
            "spatial_share": None,
            "replaced": {
                kind: score(*(2 * n for n in changed) if kind == "swapped" else changed) for kind in KINDS
            },
        }
        for number, changed in enumerate(changes)
    ]
    return {
        "key": key | {"limit": IMAGES, "batch_size": 50, "definitions": 1},
        "label": label,
        "seed": seed,
        "backbone": "cifar_resnet8",
        "accuracy": RIGHT / IMAGES,
        "images": IMAGES,
        "means_of": "validation",
        "mean_images": 100 + (seed or 0),
        "gates": gates,
        "together": {kind: score(3, 1) for kind in KINDS},
    }


SEEDS = [
    row("se", 0, [(1, 0), (200, 0), (30, 0), (0, 0)]),
    row("se", 1, [(0, 1), (220, 5), (0, 25), (0, 0)]),
    row("se", 2, [(2, 2), (180, 9), (10, 10), (0, 0)]),
]


def section_of(*rows: dict[str, Any], margin: float = 0.005) -> Section:
    record = {
        **{"format": 1, "foveate": "0.1.0", "kind": "gates", "command": "", "environment": {}},
        "settings": {"margin": margin, "limit": 2000, "batch_size": 50},
        "data": {"about": "2,000 of the 5,000 test images of small", "fingerprint": "f", "images": IMAGES},
        "networks": [],
        "rows": list(rows),
    }
    return gates_section(GatesRecord.model_validate(record))


def test_the_finding_counts_constant_reacting_and_inconclusive_gates():
    said = section_of(*SEEDS).sentences
    assert said[0] == (
        "se: at 2 of 4 sites the gate is a constant within 0.5 points, and at 2 of these one number per "
        "channel serves; at 1 accuracy differs significantly without the image; 1 is inconclusive. Folding "
        "all gates, their means in their place at once, changes accuracy by −0.10 points (−0.15 to −0.05); "
        "with one number per channel, by −0.10 points (−0.15 to −0.05). On average 30 % of the variance of a "
        "gate lies between images."
    )
    assert said[1].startswith(
        "Measured on 2,000 of the 5,000 test images of small; the means are over 102 validation images of "
        "each network, none of them a test image."
    )
    assert len(said) == 2


def test_one_network_is_tested_over_images_and_says_so():
    said = section_of(row("dmsca", None, [(0, 0), (1, 0)])).sentences
    assert said[0].startswith("dmsca: at 2 of 2 sites the gate is a constant")
    assert said[-1] == (
        "Of dmsca there is one network: its tests are over its images, and say nothing about another "
        "training."
    )


def test_several_gates_at_a_site_are_counted_as_gates():
    rows = [
        row("sgfa", seed, [(0, 0), (0, seed), (90 + seed, 0)], ("M_s", "M_c", "gate")) for seed in range(3)
    ]
    section = section_of(*rows)
    assert section.sentences[0].startswith("sgfa: 2 of 3 gates are constants within 0.5 points")
    assert [cells[0].main for cells in section.tables[0].rows] == [
        "layer0, M_s",
        "layer1, M_c",
        "layer2, gate",
    ]


def test_too_few_images_are_the_reason_that_is_named():
    rows = [row("se", seed, [(0, 0)] * 4) for seed in range(2)]
    said = section_of(*rows, margin=0.0003).sentences[0]
    assert said.startswith(
        "se: at none of 4 sites was the gate shown to be a constant within 0.03 points; 4 are"
    )
    assert "with so few images and 2 seeds not even gates that change no answer" in said


def test_tables_say_what_was_measured():
    section = section_of(*SEEDS)
    changes, accuracies, together = section.tables
    assert [table.name for table in section.tables] == ["gates", "gates_accuracy", "gates_together"]
    assert [cell.main for cell in changes.rows[1]] == [
        *("layer1", "se", "20", "−9.77", "−9.77", "−9.77", "−19.53", "reacts")
    ]
    assert [cells[-1].main for cells in changes.rows] == ["constant", "reacts", "inconclusive", "constant"]
    assert accuracies.rows[0][2].main == "10, –"
    assert accuracies.rows[0][4].main == "90.00"
    assert accuracies.rows[0][4].detail == "+0.00 (−0.08 to 0.08)"
    assert [cell.main for cell in together.rows[0]][:4] == ["se", "4", "90.00 ± 0.00", "89.90"]
    for table in section.tables:
        assert "nan" not in as_markdown(table)
        assert as_latex(table).count(r"\\") == len(table.rows) + 1


def test_numbers_and_json_have_every_gate():
    section = section_of(*SEEDS)
    assert len(section.numbers["gates"]) == 3 * (4 + 1)
    assert {tuple(one) for one in section.numbers["gates"]} == {tuple(section.numbers["gates"][0])}
    (found,) = section.summary["rows"]
    assert found["constant"] == 2
    assert found["gates"][1]["verdict"] == "reacts"
    assert found["gates"][1]["replaced"]["whole"]["difference"] == pytest.approx(-586 / 6000)


def test_figures_are_drawn_for_each_mechanism_and_one_of_all():
    section = section_of(*SEEDS, row("dmsca", None, [(0, 0), (1, 0)]))
    assert [figure.name for figure in section.figures] == ["gates_1", "gates_2", "gates_shares"]
    for figure in section.figures:
        assert "<svg" in as_svg(figure)
    still = row("se", 0, [(0, 0)])
    still["gates"][0]["share"] = None
    section = section_of(still)
    assert [figure.name for figure in section.figures] == ["gates_1"]
    assert section.sentences[0].endswith("No gate varies at all.")
    assert section.tables[0].rows[0][2].main == "–"


def test_nothing_measured_has_no_table():
    section = section_of()
    assert (section.sentences, section.tables) == (["No network's gates could be examined."], [])


def test_one_image_alone_has_no_swapped_gate():
    one = row("se", 0, [(0, 0)])
    del one["gates"][0]["replaced"]["swapped"], one["together"]["swapped"]
    section = section_of(one)
    assert section.tables[0].rows[0][6].main == "–"
    assert section.tables[2].rows[0][-1].main == "–"
    assert section.numbers["gates"][0]["swapped"] is None
