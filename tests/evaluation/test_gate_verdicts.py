"""Which gates count as constants, over seeds and over images, adjusted for their number."""

import pytest
from scipy import stats

from foveate.evaluation.gate_verdicts import Verdict, can_be_shown, judge_gates, judge_together
from foveate.evaluation.statistics import paired_test
from foveate.evaluation.within_margin import equivalent_within
from foveate.records.gates import GateRow, GatesKey, ReplacedScore, Replacement, SiteGate

MARGIN, IMAGES, RIGHT = 0.005, 2000, 1800


def row(seed: int, changes: list[tuple[int, int]], images: int = IMAGES) -> GateRow:
    """The row of a network at whose k-th site the replacement loses and gains `changes[k]` images."""
    key = GatesKey(
        digest="", name=f"run{seed}", backbone="", images="", limit=images, batch_size=50, definitions=1
    )
    scores = [
        {
            kind: ReplacedScore(accuracy=(RIGHT - lost + gained) / images, lost=lost, gained=gained)
            for kind in Replacement
        }
        for lost, gained in changes
    ]
    gates = tuple(
        SiteGate(
            site=f"layer{k}",
            path=f"layer{k}.attention",
            factor=None,
            mean=0.5,
            between_images=0.1,
            share=0.5,
            channel_share=0.5,
            spatial_share=0.5,
            replaced=score,
        )
        for k, score in enumerate(scores)
    )
    return GateRow(
        key=key,
        label="se",
        seed=seed,
        backbone="",
        accuracy=RIGHT / images,
        images=images,
        means_of="validation",
        mean_images=100,
        gates=gates,
        together=scores[0],
    )


ROWS = [
    row(0, [(1, 0), (200, 0), (30, 0), (0, 0)]),
    row(1, [(0, 1), (220, 5), (0, 25), (0, 0)]),
    row(2, [(2, 2), (180, 9), (10, 10), (0, 0)]),
]


def test_gates_are_constant_react_or_are_inconclusive_over_seeds():
    tests = judge_gates(ROWS, MARGIN)
    verdicts = [found[Replacement.WHOLE].verdict for found in tests.values()]
    assert verdicts == [Verdict.CONSTANT, Verdict.REACTS, Verdict.INCONCLUSIVE, Verdict.CONSTANT]
    first = tests["layer0.attention", None][Replacement.WHOLE]
    assert (first.over, first.n) == ("seeds", 3)
    assert first.equivalence == equivalent_within([-1 / 2000, 1 / 2000, 0.0], MARGIN, resolution=1 / 2000)
    # Holm: the least of four p values is multiplied by 4, the next by 3.
    last = tests["layer3.attention", None][Replacement.WHOLE]
    assert last.p_equivalence == pytest.approx(4 * last.equivalence.p)
    assert first.p_equivalence == pytest.approx(3 * first.equivalence.p)
    reacting = tests["layer1.attention", None][Replacement.WHOLE]
    before = [RIGHT / IMAGES] * 3
    after = [(RIGHT - lost) / IMAGES for lost in (200, 215, 171)]
    assert reacting.p_difference == pytest.approx(3 * paired_test(before, after).p)


def test_one_network_is_tested_over_its_images():
    tests = judge_gates(ROWS[:1], MARGIN)
    found = [one[Replacement.CHANNEL] for one in tests.values()]
    assert [one.over for one in found] == ["images"] * 4
    assert [one.n for one in found] == [2000] * 4
    assert [one.verdict for one in found] == ["constant", "reacts", "reacts", "constant"]
    assert found[2].p_difference == pytest.approx(3 * stats.binomtest(30, 30).pvalue)


def test_too_few_images_cannot_show_any_constant():
    few = [row(0, [(0, 0)] * 4, images=360)]
    assert {one[Replacement.WHOLE].verdict for one in judge_gates(few, MARGIN).values()} == {"inconclusive"}
    assert not can_be_shown(few, 1, MARGIN)
    assert can_be_shown(ROWS, 4, MARGIN)
    assert not can_be_shown([row(seed, [(0, 0)], images=360) for seed in range(3)], 9, MARGIN)


def test_all_gates_at_once_are_a_family_of_one():
    found = judge_together(ROWS, MARGIN)[Replacement.WHOLE]
    assert found.p_equivalence == found.equivalence.p
