"""The findings of `foveate explain --gates` in sentences."""

from collections.abc import Sequence
from statistics import fmean

from foveate.evaluation.gate_verdicts import ReplacementTest, Verdict
from foveate.notation import count, decimals, interval, listing
from foveate.records.gates import Replacement
from foveate.records.labels import display_name, name_in_sentence
from foveate.report.core.notation import points
from foveate.report.gates.summary import GatesSummary, GateSummary, MechanismGates

__all__ = ["gates_sentences", "margin_in_words"]


def margin_in_words(margin: float) -> str:
    """Write the margin: "0.5 points"."""
    return f"{100 * margin:g} points"


def gates_sentences(summary: GatesSummary) -> list[str]:
    """Return the findings, one for each mechanism, and how they were measured."""
    if not summary.rows:
        return ["No network's gates could be examined."]
    averaged = listing([f"{images:,} {part} images" for part, images in summary.mean_images.items()])
    sentences = [_finding(row, summary.margin) for row in summary.rows]
    sentences.append(
        f"Measured on {summary.data.about}; the means are over {averaged} of each network, none of them a "
        "test image. A gate counts as a constant where accuracy with its mean over images in its place is "
        f"shown to lie within {margin_in_words(summary.margin)} of that with the gate, by two one-sided "
        "tests that are adjusted for the gates of the mechanism (Holm). The 90 % intervals are not adjusted."
    )
    if alone := [row.attention for row in summary.rows if row.runs == 1]:
        sentences.append(
            f"Of {listing([name_in_sentence(name) for name in alone])} there is one network: its tests are "
            "over its images, and say nothing about another training."
        )
    return sentences


def _finding(row: MechanismGates, margin: float) -> str:
    """Say how many gates are constants, how many react, and what it costs to fold all of them."""
    parts = [f"{display_name(row.attention)}: {_constants(row)} within {margin_in_words(margin)}"]
    constant = row.of(Verdict.CONSTANT)
    if constant:
        channel = sum(gate.serves(Replacement.CHANNEL) for gate in constant)
        parts[0] += f", and at {channel} of these one number per channel serves"
    if reacting := len(row.of(Verdict.REACTS)):
        parts.append(f"at {reacting} accuracy differs significantly without the image")
    if left := len(row.of(Verdict.INCONCLUSIVE)):
        parts.append(f"{left} {'is' if left == 1 else 'are'} inconclusive{_too_few(row)}")
    return f"{'; '.join(parts)}. {_together(row)}{_variance(row.gates)}"


def _constants(row: MechanismGates) -> str:
    has_factors = any(gate.factor is not None for gate in row.gates)
    total = count(len(row.gates), "gate" if has_factors else "site")
    constant = len(row.of(Verdict.CONSTANT))
    if has_factors:
        verb = "is a constant" if constant == 1 else "are constants"
        return f"{constant} of {total} {verb}" if constant else f"none of {total} was shown to be a constant"
    if constant:
        return f"at {constant} of {total} the gate is a constant"
    return f"at none of {total} was the gate shown to be a constant"


def _too_few(row: MechanismGates) -> str:
    if row.can_be_shown:
        return ""
    seeds = "" if row.runs == 1 else f" and {row.runs} seeds"
    return (
        f" (with so few images{seeds} not even gates that change no answer could be shown to be constants: "
        "give more, or a wider --margin)"
    )


def _together(row: MechanismGates) -> str:
    whole, channel = (row.together[kind] for kind in (Replacement.WHOLE, Replacement.CHANNEL))
    return (
        f"Folding all gates, their means in their place at once, changes accuracy by {_change(whole)}; with "
        f"one number per channel, by {_change(channel)}. "
    )


def _change(test: ReplacementTest) -> str:
    bounds = test.equivalence.interval
    between = f" ({interval(bounds, 2, scale=100)})" if bounds else ""
    return f"{points(test.equivalence.difference)} points{between}"


def _variance(gates: Sequence[GateSummary]) -> str:
    shares = [gate.share.mean for gate in gates if gate.share.mean is not None]
    if not shares:
        return "No gate varies at all."
    share = decimals(fmean(shares), 0, scale=100)
    return f"On average {share} % of the variance of a gate lies between images."
