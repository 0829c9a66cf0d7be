"""Percentages of latency beside p50s, and the keys and values of settings, in words."""

from foveate.report.core.paired import PairedLatency, paired_sentence
from foveate.report.core.pairs import readable_pairs


def test_it_is_said_where_ratios_and_p50s_are_most_apart():
    near, far = PairedLatency("se", 2.0, 1.0, 2.001), PairedLatency("cbam", 1.2, 1.0, 1.3)
    said = paired_sentence([near, far])
    assert said.endswith("for cbam: +30.0 % by the ratios, +20.0 % by the p50s.")


def test_where_no_digit_differs_that_is_said():
    assert paired_sentence([PairedLatency("se", 2.0, 1.0, 2.0)]).endswith("the same in all digits shown.")


def test_without_latencies_nothing_is_said():
    assert paired_sentence([]) == ""


def test_nested_keys_have_their_values():
    content = {"timing": {"rounds": 40, "share": 0.25}, "input": [1, 3, 8], "compile": False, "noise": []}
    assert readable_pairs(content | {"ema": None, "deep": {"a": {"b": 1.0}}, "none": {}}) == [
        ("timing: rounds", "40"),
        ("timing: share", "0.25"),
        ("input", "1, 3, 8"),
        ("compile", "no"),
        ("noise", "none"),
        ("ema", "–"),
        ("deep: a: b", "1"),
        ("none", "none"),
    ]
