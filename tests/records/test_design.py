from foveate.records.design import Contrast, Control, Design

CONTROL = Control(label="none(width=1.1)", of="se", measure="macs", asked=100, reached=101)


def pairs(design: Design, *labels: str) -> list[tuple[str, str]]:
    return [(pair.a, pair.b) for pair in design.pairs(labels)]


def test_all_pairs_are_compared_where_a_record_declares_no_family() -> None:
    assert pairs(Design(), "none", "se", "cbam") == [("none", "se"), ("none", "cbam"), ("se", "cbam")]


def test_the_family_of_the_baseline_compares_each_candidate_with_it_wherever_it_stands() -> None:
    design = Design(family="baseline")
    assert pairs(design, "none", "se", "cbam") == [("none", "se"), ("none", "cbam")]
    assert pairs(design, "se", "none", "cbam") == [("none", "se"), ("none", "cbam")]
    assert pairs(design, "se", "cbam") == []


def test_a_control_is_compared_with_its_own_candidate_in_each_family() -> None:
    labels = ("none", "se", "cbam", "none(width=1.1)")
    of_baseline = Design(family="baseline", controls=(CONTROL,))
    assert pairs(of_baseline, *labels) == [("none", "se"), ("none", "cbam"), ("none(width=1.1)", "se")]
    assert pairs(Design(controls=(CONTROL,)), *labels)[-2:] == [("se", "cbam"), ("none(width=1.1)", "se")]


def test_planned_comparisons_are_made_whatever_the_family() -> None:
    contrast = Contrast(a="se", b="cbam", title="it", group="alone")
    design = Design(kind="ablate", contrasts=(contrast,), family="baseline")
    assert pairs(design, "none", "se", "cbam") == [("se", "cbam")]
    assert (design.tested, Design(family="baseline").tested, Design().tested) == (
        "planned",
        "baseline",
        "all",
    )


def test_a_family_is_written_where_it_was_given() -> None:
    assert "family" not in Design().to_json()
    assert "family" not in Design.model_validate({"kind": "compare"}).model_copy().to_json()
    assert Design(family="all").to_json()["family"] == "all"
    assert Design().model_copy(update={"family": "baseline"}).to_json()["family"] == "baseline"
    assert set(Design().to_json()) == {"kind", "subject", "contrasts", "values", "controls", "search"}
