"""What `foveate check` says of its records on a terminal."""

import io

import pytest
from rich.console import Console, RenderableType

from foveate.records.check import CheckRecord, DifferenceRow, FigureRow, LikeRecord, PromiseRow
from foveate.records.environment import Environment
from foveate.report.check.console import check_console, check_headline, like_console, like_headline

ENVIRONMENT = Environment(
    foveate="0",
    python="3",
    torch="2",
    torchvision="0",
    timm="1",
    lightning="2",
    platform="x",
    processor="y",
    cores=1,
    threads=1,
    accelerator="cpu",
)
KEPT = PromiseRow(
    promise="shape", title="maps keep their shape", needed_for="training", verdict="kept", seconds=0
)
BROKEN = PromiseRow(
    promise="dtype",
    title="maps keep their dtype",
    needed_for="training",
    verdict="broken",
    input="(2, 64, 1, 1) bfloat16 in eval",
    found="the output is float32 " + "and so on " * 12,
    cause="tensor of a fixed dtype",
    place="mine.py:[red]7",
    seconds=0,
)
WARNED = BROKEN.model_copy(update={"needed_for": "comfort", "cause": None, "place": None})
NOT_APPLICABLE = PromiseRow(
    promise="gradients",
    title="every parameter learns",
    needed_for="training",
    verdict="not applicable",
    why_not="it has no parameters",
    seconds=0,
)


def record(*rows: PromiseRow) -> CheckRecord:
    figures = [("se", 580, 1.0), ("mine.py:Mine", None, 2.0)]
    return CheckRecord(
        format=1,
        foveate="0",
        module="mine.py:Mine",
        channels=(64,),
        device="cpu",
        command="foveate check",
        environment=ENVIRONMENT,
        promises=rows,
        figures_input=(8, 64, 14, 14),
        figures=tuple(
            FigureRow(
                module=name,
                parameters=580,
                macs=macs,
                element_wise=macs,
                latency_ms_p50=0.04,
                latency_ratio=ratio,
            )
            for name, macs, ratio in figures
        ),
    )


def text_of(layout: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(layout)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("rows", "end"),
    [
        ((KEPT, KEPT, NOT_APPLICABLE), "keeps all 2 promises that apply"),
        ((KEPT,), "keeps its promise"),
        ((KEPT, BROKEN), "breaks 1 of 2 promises that apply; 1 of them is needed for training"),
        (
            (WARNED, NOT_APPLICABLE),
            "breaks 1 of 1 promises that apply; none of them is needed for training or shipping",
        ),
    ],
)
def test_the_headline_counts_what_applies_and_what_is_needed(rows: tuple[PromiseRow, ...], end: str) -> None:
    assert check_headline(record(*rows)) == f"mine.py:Mine {end}"


def test_rows_findings_reasons_and_costs_fit_100_columns_and_no_text_is_markup() -> None:
    text = text_of(check_console(record(KEPT, BROKEN, WARNED, NOT_APPLICABLE)))
    assert max(map(len, text.splitlines())) <= 100
    for said in (
        "✗ dtype: tensor of a fixed dtype (mine.py:[red]7)",
        "(2, 64, 1, 1) bfloat16 in eval",
        "– gradients: it has no parameters.",
        "8×64×14×14",
    ):
        assert said in text


def like(**fields: object) -> LikeRecord:
    record = LikeRecord(
        format=1, foveate="0", module="mine", builtin="cbam", channels=64, command="", verdict="same"
    )
    return record.model_copy(update=fields)


def test_a_comparison_names_differences_their_size_and_the_weights() -> None:
    assert like_headline(like()) == "mine and cbam are the same function"
    row = DifferenceRow(part="mlp", value="two", text="no shared MLP")
    known = like(
        verdict="known",
        differences=(row,),
        largest_difference=0.25,
        remaining_difference=1e-16,
        smallest_input="(1, 64, 1, 1) float64 in eval",
        weights={"fc.weight": "mlp0"},
    )
    text = text_of(like_console(known))
    for said in (
        "mine and cbam differ in 1 known way",
        "· no shared MLP",
        "0.25",
        "cbam with it gives the output of mine, up to 1e-16",
        "(1, 64, 1, 1) float64 in eval",
        "mlp0",
    ):
        assert said in text
    assert "that foveate does not know" in like_headline(like(verdict="unknown"))
