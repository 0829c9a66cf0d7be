"""The record of `foveate fold` for a terminal: what became of each site, the test, and the cost."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from foveate.evaluation.noise import Times, describe_noise, find_noise
from foveate.notation import NOTHING, count, decimals, listing, magnitude, milliseconds, signed_percent
from foveate.records.cost import CostRow
from foveate.records.fold import FoldCost, FoldRecord, FoldSite, FoldTest
from foveate.records.labels import name_with_seed
from foveate.records.metric import CLASSIFICATION
from foveate.report.core.console import terminal_table
from foveate.report.core.notation import points

__all__ = ["fold_console", "fold_sentences"]

ACCURACY = CLASSIFICATION.primary
MOST_NAMED = 6
"""As many sites are named in a sentence with what they would cost."""
BECAME = {"scale": "a scale for each channel", "kept": "kept: it reacts", "excluded": "kept: see below"}


def fold_console(record: FoldRecord, folder: Path) -> Group:
    """Lay out the record, which lies in `folder`, to be printed with rich."""
    headline, *rest = fold_sentences(record)
    lines: list[RenderableType] = [Text(headline, style="bold"), *map(Text, rest)]
    if any(site.became != "excluded" for site in record.sites):
        lines.append(_sites_table(record))
    reasons: dict[str, list[str]] = {}
    for site in record.sites:
        if site.reason:
            reasons.setdefault(site.reason, []).append(site.site)
    lines += [Text(f"– {listing(names)}: {reason}.", style="dim") for reason, names in reasons.items()]
    if record.test:
        lines.append(Text(_test_sentence(record.test)))
    if record.cost:
        lines.append(_cost_table(record.cost))
        lines += [Text(f"? {sentence}.", style="yellow") for sentence in _noise(record.cost)]
    lines += [Text(f"? {sentence}", style="yellow") for sentence in record.warnings]
    if record.file:
        lines.append(Text(_file_sentence(record, folder / record.file)))
    return Group(*lines)


def fold_sentences(record: FoldRecord) -> list[str]:
    """Return what was found, the most important first."""
    sites = record.sites
    where = f"{name_with_seed(record.network.label, record.network.seed)}, on {record.network.backbone}"
    margin = f"{100 * float(record.settings.max_loss):g} points"
    folded = [site for site in sites if site.became == "folded"]
    scales = [site for site in sites if site.became == "scale"]
    kept = [site for site in sites if site.became == "kept"]
    if len(folded) == len(sites):
        said = [f"{where}: no attention is left, its gates are constants within the layers beside them."]
    elif folded or scales:
        number = f"{len(folded) + len(scales)} of {count(len(sites), 'site')}"
        said = [f"{where}: {number} became constants, within {margin} of accuracy."]
    elif kept:
        said = [f"{where}: nothing can be folded within {margin} of accuracy."]
    else:
        said = [f"{where}: nothing can be folded, as no site has a gate that a layer could take."]
    if scales:
        names = listing([site.site for site in scales])
        said.append(f"No layer beside {names} can take the constants: a scale for each channel stays there.")
    if kept:
        said.append(f"{'Reacts' if len(kept) == 1 else 'React'} to the image: {_costs(kept)}.")
    if record.test and float(record.test.difference_ci95[1]) < 0:
        lost = points(float(record.test.difference))
        said.append(
            f"On the test images the folded network is less accurate ({lost} points), which the images that "
            "decided did not show: keep the network as it is, or give more validation images."
        )
    return said


def _costs(kept: list[FoldSite]) -> str:
    """Name the sites that react, the dearest first, with what folding each would cost."""
    dearest = sorted(kept, key=lambda site: -float(site.loss_alone or 0))
    named = [f"{site.site} (folding it would cost {_cost(site)})" for site in dearest[:MOST_NAMED]]
    if len(kept) > MOST_NAMED:
        named.append(f"{len(kept) - MOST_NAMED} more, which cost less")
    return listing(named)


def _cost(site: FoldSite) -> str:
    if site.loss_together is None:
        return f"{_points(site.loss_alone)} points"
    return f"{_points(site.loss_together)} points together with those that are folded"


def _sites_table(record: FoldRecord) -> Padding:
    """Return the sites in the order in which they were decided on, the folded ones first."""
    by_path = {site.path: site for site in record.sites}
    others = [site for site in record.sites if site.path not in record.order]
    rows = [_row(site) for site in (*(by_path[path] for path in record.order), *others)]
    parts = listing([f"{one.images:,} {one.part}" for one in record.deciding])
    title = f"Points of accuracy lost on {parts} images, by each site alone and with those above it:"
    table = terminal_table(("site", "became", "alone", "together"), rows, named=2, widths=(10, 20), gap=2)
    return Padding(Group(Text(title), table), (1, 0))


def _row(site: FoldSite) -> tuple[str, str, str, str]:
    if site.became == "folded":
        became = f"part of {listing([layer.path for layer in site.layers])}"
    elif site.became == "kept" and site.loss_together is not None:
        became = "kept: too much together"
    else:
        became = BECAME[site.became]
    return site.site, became, _points(site.loss_alone), _points(site.loss_together)


def _points(loss: float | None) -> str:
    return decimals(loss, ACCURACY.digits, scale=ACCURACY.scale) if loss is not None else NOTHING


def _test_sentence(test: FoldTest) -> str:
    before, after = (
        f"{ACCURACY.write_with_unit(float(value))} ({ACCURACY.write_interval(bounds)})"
        for value, bounds in ((test.before, test.before_ci95), (test.after, test.after_ci95))
    )
    difference = f"{points(float(test.difference))} points"
    return (
        f"Test accuracy on {count(test.images, 'image')}: {before} before, {after} after. The difference is "
        f"{difference} (95 % interval {ACCURACY.write_interval(test.difference_ci95)}): "
        f"{count(test.lost, 'image')} lost, {test.gained} gained."
    )


def _cost_table(cost: FoldCost) -> Padding:
    before, after = cost.before, cost.after
    counted = (
        ("parameters", before.parameters, after.parameters),
        ("multiply-adds", before.macs, after.macs),
    )
    rows = [
        (title, magnitude(ours), magnitude(theirs), _change(ours, theirs)) for title, ours, theirs in counted
    ]
    size = "×".join(map(str, cost.input[1:]))
    title = f"Cost for one image of {size} on {cost.device}, timed in {cost.timing.rounds} rounds of turns:"
    table = terminal_table(("", "before", "after", "change"), [*rows, _latency(before, after)], gap=2)
    return Padding(Group(Text(title), table), (1, 0))


def _latency(before: CostRow, after: CostRow) -> tuple[str, str, str, str]:
    change = _percent(after.latency_ratio)
    if bounds := after.latency_ratio_ci95:
        change += f" ({_percent(bounds[0])} to {_percent(bounds[1])})"
    return (
        "latency p50, ms",
        milliseconds(float(before.latency_ms_p50 or 0)),
        milliseconds(float(after.latency_ms_p50 or 0)),
        change,
    )


def _change(before: int | None, after: int | None) -> str:
    return signed_percent(100 * (after / before - 1)) if before and after is not None else NOTHING


def _percent(ratio: float | None) -> str:
    return NOTHING if ratio is None else signed_percent(100 * (float(ratio) - 1))


def _noise(cost: FoldCost) -> list[str]:
    """Say what speaks against the latencies."""
    times = {
        name: Times(float(row.latency_ms_p50), float(row.latency_ms_p95), float(row.latency_ratio))
        for name, row in (("before", cost.before), ("after", cost.after))
        if row.latency_ms_p50 and row.latency_ms_p95 and row.latency_ratio
    }
    found = find_noise(times, cost.timing.reference, cost.timing.cpu_share) if len(times) == 2 else []
    return [f"The machine was busy while latency was measured: {describe_noise(one)}" for one in found[:1]]


def _file_sentence(record: FoldRecord, path: Path) -> str:
    network = record.backbone or record.network.backbone
    how = "foveate.load reads it"
    if record.is_plain and "/" not in network:
        how = f"it has the keys of timm's {network} and no others; foveate.load and timm read it"
    return f"Written: {path}; {how}."
