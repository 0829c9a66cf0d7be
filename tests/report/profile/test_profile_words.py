import pytest
from synthetic_profile import make_record, parse

from foveate.notation import milliseconds
from foveate.profiling.warnings import warnings_of
from foveate.report.profile.words import (
    byte_size,
    conditions,
    headline,
    kernel_path_line,
    roofline_lines,
)


def test_headline_names_the_dearest_first_and_nothing_that_is_not_shown():
    assert headline(parse(make_record())) == "Over the baseline: dmsca +100 % latency and se +7.0 %."
    unshown = {"se": (1.01, 0.99, 1.03), "dmsca": (2.0, 1.95, 2.05)}
    assert headline(parse(make_record(unshown))) == "Over the baseline: dmsca +100 % latency."
    assert headline(parse(make_record({"se": (1.01, 0.99, 1.03)}))).startswith(
        "No mechanism was shown to differ"
    )
    assert (
        headline(parse(make_record({}))) == "The baseline takes 40.0 ms; there is nothing to compare it with."
    )
    assert headline(parse(make_record({"se": (0.9, 0.88, 0.92)}))) == "Over the baseline: se −10.0 % latency."


def test_the_headline_and_the_interval_say_the_same():
    """The middle half is from 1.055 to 1.25, wider than the difference, and the interval leaves out 1."""
    record = make_record({"cbam": (1.10, 1.01, 1.40)})
    assert headline(parse(record)) == "Over the baseline: cbam about +10.0 % latency."
    assert len(warnings_of(parse(record))) == 1
    record["rows"][1]["latency_ratio_ci95"] = [0.99, 1.40]
    assert headline(parse(record)) == "No mechanism was shown to differ from the baseline in latency."


def test_medians_that_contradict_the_rounds_are_told():
    """As it was measured once: 5.56 beside 1.40 ms, and +21 %."""
    record = make_record({"se": (1.21, 1.15, 1.28)})
    record["rows"][0] |= {"latency_ms_p50": 1.40, "latency_ms_p95": 1.5}
    record["rows"][1] |= {"latency_ms_p50": 5.56, "latency_ms_p95": 5.7}
    (warning,) = warnings_of(parse(record))
    assert warning.attention is None
    assert (
        "the medians of se and the baseline differ by 3.28 times what they do within rounds" in warning.text
    )


def test_a_core_that_worked_for_others_is_told():
    record = make_record()
    record["timing"]["cpu_share"] = 0.5
    (warning,) = warnings_of(parse(record))
    assert "the measurement took 2.00 times as long as a core worked for it" in warning.text
    record["timing"]["cpu_share"] = 0.97
    assert warnings_of(parse(record)) == []


def test_plain_that_is_faster_with_one_thread_is_told_with_the_remedy():
    record = make_record()
    record["rows"][0]["latency_ms_p50"] = 2600.0
    record["rows"][0]["latency_ms_p95"] = 2700.0
    record["rows"][1:] = []
    record["timing"]["plain_one_thread_ms"] = 130.0
    (warning,) = warnings_of(parse(record))
    # 2 · 4 G multiply-adds in 2.6 s are 3.1 of the 100 GFLOP/s that were measured.
    assert (
        "The baseline takes 2600 ms with 2 threads, 3 % of the measured arithmetic bound, and 130 ms with one"
        in (warning.text)
    )
    assert "--threads 1" in warning.text
    record["timing"]["plain_one_thread_ms"] = 2500.0
    assert warnings_of(parse(record)) == []


def test_a_quiet_machine_and_clear_differences_need_no_warning():
    assert warnings_of(parse(make_record())) == []


def test_a_busy_machine_is_told_by_plain_itself():
    assert warnings_of(parse(make_record(p95=50.0))) == []  # 1.25 is not over it
    (warning,) = warnings_of(parse(make_record(p95=60.0)))
    assert warning.attention is None
    assert "the baseline's own p95 is 1.50 times its p50" in warning.text


def test_a_difference_that_is_not_shown_or_within_the_spread_is_told_by_name():
    doubtful = {
        "se": (1.01, 0.99, 1.03),
        "eca": (0.97, 0.90, 1.0),
        "cbam": (1.10, 1.01, 1.40),  # quartiles half as far: 1.055 and 1.25
        "dmsca": (2.0, 1.5, 2.5),
    }
    warnings = {warning.attention: warning.text for warning in warnings_of(parse(make_record(doubtful)))}
    assert set(warnings) == {"se", "eca", "cbam"}
    assert "(0.99–1.03) includes 1: the difference from the baseline is not significant" in warnings["se"]
    assert "includes 1" in warnings["eca"]
    assert "spreads more between rounds (middle half 1.06–1.25)" in warnings["cbam"]


def test_no_interval_is_no_evidence():
    record = make_record()
    record["rows"][1]["latency_ratio_ci95"] = None
    (warning,) = warnings_of(parse(record))
    assert "(unknown)" in warning.text


def test_roofline_in_a_line():
    se, dmsca = roofline_lines(parse(make_record()))
    assert dmsca == (
        "dmsca: bound by memory; as written it moves 40.0 MB, 2.00 ms; 3 reads and 1 write of its maps would "
        "take 0.20 ms; measured +40.0 ms, 20× and 200× as long"
    )
    assert se.endswith("measured +2.80 ms, 14× and 14× as long")
    (line,) = roofline_lines(parse(make_record({"se": (1.01, 0.99, 1.03)})))
    assert line.endswith("no added time is shown")
    record = make_record(batch_size=8)
    # 8 images of 2 · 400 M + 3 M each.
    record["rows"][2]["roofline"] |= {"bound": "arithmetic", "arithmetic_ms": 6.64, "least_ms": None}
    assert "as written it does 6.42 G operations, 6.64 ms; measured" in roofline_lines(parse(record))[1]


def test_conditions_say_what_was_measured():
    assert conditions(parse(make_record())) == (
        "resnet50, batches of 1 image of 224×224, float32, channels last, inference, on 2 threads of "
        "AMD EPYC; 25 rounds"
    )
    record = make_record()
    record["environment"]["accelerator"] = "NVIDIA H200"
    record["settings"] |= {"compile": True, "graph": True}
    assert "inference, compiled, as CUDA graphs, on NVIDIA H200" in conditions(parse(record))


@pytest.mark.parametrize(
    ("value", "text"), [(0.0335, "0.034"), (0.25, "0.25"), (9.99, "9.99"), (12.34, "12.3"), (345.6, "346")]
)
def test_milliseconds(value, text):
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (64, "+64 B"), (9490, "+9.49 kB"), (-1.2e6, "−1.20 MB"), (2e9, "+2.00 GB")]
)
def test_bytes(size, text):
    assert byte_size(size, sign=True) == text


def test_the_form_that_ran_is_said():
    record = make_record()
    assert kernel_path_line(parse(record)).startswith(
        "Ran: se by numba at 16 places; dmsca by numba at 16 places"
    )
    for row in record["rows"]:
        row["paths"] = {}
    assert kernel_path_line(parse(record)) == ""
