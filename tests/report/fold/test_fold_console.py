"""What `foveate fold` says of a record: of folded sites, of those that react, and of a test that fell."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from foveate.records.files import read_record
from foveate.records.fold import FoldRecord, FoldSite, FoldTest
from foveate.report.fold.console import fold_console, fold_sentences

GOLDEN = Path(__file__).parents[2] / "records" / "golden" / "fold.json"


@pytest.fixture
def record() -> FoldRecord:
    """A fold of CBAM on the digits, of which one site was kept."""
    return read_record(GOLDEN, FoldRecord)


def printed(record: FoldRecord) -> str:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(fold_console(record, Path("run")))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def with_sites(record: FoldRecord, *sites: FoldSite) -> FoldRecord:
    order = tuple(site.path for site in sites if site.became in ("folded", "scale"))
    return record.model_copy(update={"sites": sites, "order": order})


def site(name: str, became: str, **fields: object) -> FoldSite:
    return FoldSite.model_validate({"site": name, "path": name, "became": became, **fields})


def test_sites_stand_in_the_order_in_which_they_were_decided_on(record: FoldRecord) -> None:
    text = printed(record)
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("layer")]
    assert rows == [*(path.removesuffix(".bn2") for path in record.order), "layer1.0"]
    assert "layer1.0    kept: it reacts        0.70         –" in text
    assert "Test accuracy on 359 images: 99.16 % (97.57 to 99.72) before, 98.89 %" in text
    assert "−0.28 points (95 % interval −1.56 to 0.78): 1 image lost, 0 gained." in " ".join(text.split())
    assert "multiply-adds    2.57 M  2.54 M" in text
    assert "Written: run/fold.safetensors; foveate.load reads it." in text


def test_what_reacts_is_named_with_its_cost_the_dearest_first(record: FoldRecord) -> None:
    assert fold_sentences(record)[1] == "Reacts to the image: layer1.0 (folding it would cost 0.70 points)."
    both = with_sites(
        record,
        site("a", "folded", layers=[{"path": "a", "side": "output"}]),
        site("b", "kept", loss_alone=0.0, loss_together=0.004),
        site("c", "kept", loss_alone=0.032),
    )
    headline, said, *_ = fold_sentences(both)
    assert headline.endswith("1 of 3 sites became constants, within 0.1 points of accuracy.")
    assert said == (
        "React to the image: c (folding it would cost 3.20 points) and b (folding it would cost 0.40 points "
        "together with those that are folded)."
    )
    many = with_sites(record, *(site(f"s{k}", "kept", loss_alone=k / 100) for k in range(9)))
    headline, said, *_ = fold_sentences(many)
    assert "nothing can be folded within 0.1 points of accuracy" in headline
    assert said.endswith("s3 (folding it would cost 3.00 points) and 3 more, which cost less.")


def test_a_scale_that_stays_and_what_has_no_gate_are_said(record: FoldRecord) -> None:
    reason = "it is no product of its input and a gate"
    mixed = with_sites(record, site("a", "scale"), site("b", "excluded", reason=reason))
    assert fold_sentences(mixed)[1].startswith("No layer beside a can take the constants: a scale for each")
    assert f"– b: {reason}." in printed(mixed)


def test_a_test_accuracy_that_fell_is_said(record: FoldRecord) -> None:
    assert record.test is not None
    assert not any("less accurate" in sentence for sentence in fold_sentences(record))
    fell = FoldTest.model_validate(
        record.test.to_json() | {"difference": -0.011, "difference_ci95": [-0.028, -0.0004]}
    )
    said = fold_sentences(record.model_copy(update={"test": fell}))[-1]
    assert said.startswith("On the test images the folded network is less accurate (−1.10 points)")


def test_a_plain_network_is_said_to_have_the_keys_of_its_backbone(record: FoldRecord) -> None:
    plain = with_sites(record, site("a", "folded", layers=[{"path": "a", "side": "output"}]))
    text = " ".join(printed(plain.model_copy(update={"is_plain": True})).split())
    assert "no attention is left" in text
    assert "it has the keys of timm's cifar_resnet20 and no others" in text
