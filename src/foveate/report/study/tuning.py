"""What each candidate got before its seeds began: the table, the sentences and the numbers of --tune."""

from collections.abc import Iterator

from foveate.notation import count, decimals, listing
from foveate.records.labels import display_name, name_in_sentence
from foveate.records.tuning import Proposal, TunedCandidate, Tuning
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.summary import Summary

__all__ = ["tuning_cautions", "tuning_numbers", "tuning_sentences", "tuning_table"]

OWN = "the recipe's own"
KEYS = (("learning_rate", "learning rate"), ("weight_decay", "weight decay"))
"""The keys of a proposal, and their names in a sentence."""


def tuning_table(summary: Summary) -> Table | None:
    """Return one row per candidate: its trials and the values it took; None if the study was not tuned."""
    tuning, metric = summary.study.tuning, summary.metric
    if tuning is None:
        return None
    columns = [
        Column("Mechanism"),
        Column("Trials", f"Trained with seed {tuning.seed}, by the same proposals for each mechanism."),
        *(
            Column(name.capitalize(), "As chosen for its runs; below, times the recipe's own.")
            for _, name in KEYS
        ),
        *([Column("Options", "As chosen among those that were varied.")] if tuning.options else []),
        Column(
            metric.heading_on("Validation"),
            "Of the chosen trial; below, with the recipe's own values. Nothing was tested here.",
        ),
        Column(
            metric.heading_of_difference("Gain on validation"),
            f"Over the recipe's own values. The best of {count(len(tuning.proposals), 'trial')} on one "
            "validation part looks better than it is.",
        ),
    ]
    rows = []
    for one in tuning.candidates:
        chosen = tuning.proposal(one.chosen, one.options)
        gain = None if one.gain is None else metric.sign * one.gain
        rows.append(
            [
                Cell(display_name(one.label)),
                Cell(str(len(one.trials)), f"{one.failed} failed" if one.failed else ""),
                *(_value_cell(tuning, one, key) for key, _ in KEYS),
                *([Cell(_options(one, chosen))] if tuning.options else []),
                Cell(metric.write(one.best.validation), metric.write(one.trials[0].validation)),
                Cell(metric.write_difference(gain) if one.chosen else OWN),
            ]
        )
    return Table("tuning", "What each mechanism got", columns, rows)


def _value_cell(tuning: Tuning, one: TunedCandidate, key: str) -> Cell:
    value, own = (getattr(tuning.proposals[number], key) for number in (one.chosen, 0))
    factor = OWN if value == own or not own else f"× {decimals(value / own, 2)}"
    edge = _edge(tuning, one, key)
    return Cell(f"{value:g}", f"{factor}, the {edge} tried" if edge else factor)


def _edge(tuning: Tuning, one: TunedCandidate, key: str) -> str:
    """Return "highest" or "lowest" if no trial went beyond the chosen value, and it is not the recipe's."""
    values = [getattr(proposal, key) for proposal in tuning.proposals]
    chosen = values[one.chosen]
    if chosen == values[0]:
        return ""
    return "highest" if chosen == max(values) else "lowest" if chosen == min(values) else ""


def _options(one: TunedCandidate, chosen: Proposal) -> str:
    if not one.options:
        return "not varied"
    if not chosen.options:
        return "as given"
    return ", ".join(f"{option} = {value}" for option, value in chosen.options.items())


def tuning_sentences(summary: Summary) -> list[str]:
    """Say what each candidate got and took; nothing if the study was not tuned."""
    tuning = summary.study.tuning
    if tuning is None or not tuning.candidates:
        return []
    number, seed = len(tuning.proposals), tuning.seed
    trials, several = count(number, "trial"), len(tuning.candidates) > 1
    who = f"Each of the {len(tuning.candidates)} candidates" if several else "The candidate"
    spans = []
    for key, name in KEYS:
        values = [getattr(proposal, key) for proposal in tuning.proposals]
        if max(values) > 0:
            spans.append(f"{name}s from {min(values):g} to {max(values):g}")
    fixed = "" if tuning.weight_decay[1] > 0 else "; the recipe's weight decay of 0 stayed"
    same = f"the same {number} proposals for each, " if several else ""
    return [
        f"{who} got {trials} on the validation part of seed {seed}, which no run of the study has: {same}"
        f"{listing(spans)}, the recipe's own values first{fixed}. The validation part alone judged them; the "
        "test part was not read. What is compared was trained anew, on the study's seeds.",
        _taken(tuning),
        *_option_sentences(tuning),
    ]


def _taken(tuning: Tuning) -> str:
    """Say what each candidate took; those that stay with the recipe's own values are named together."""
    stay = [name_in_sentence(one.label) for one in tuning.candidates if one.chosen == 0]
    taken = []
    for one in tuning.candidates:
        if one.chosen:
            chosen = tuning.proposal(one.chosen, one.options)
            varied = KEYS if tuning.weight_decay[1] > 0 else KEYS[:1]
            values = [f"{name} {getattr(chosen, key):g}" for key, name in varied]
            values += [f"{option} {value}" for option, value in chosen.options.items()]
            taken.append(f"{name_in_sentence(one.label)} took {listing(values)}")
    if stay:
        taken.append(f"{listing(stay)} kept the recipe's own values")
    return f"{_begin('; '.join(taken))}."


def _begin(sentence: str) -> str:
    """Return the sentence with a capital article; names of mechanisms stay as they are written."""
    return f"The{sentence[3:]}" if sentence.startswith("the ") else sentence


def _option_sentences(tuning: Tuning) -> list[str]:
    """Say of each varied option which candidates did not get it."""
    sentences = []
    for option, values in tuning.options.items():
        had = [name_in_sentence(one.label) for one in tuning.candidates if option in one.options]
        others = [name_in_sentence(one.label) for one in tuning.candidates if option not in one.options]
        without = (
            f"; {listing(others)} did not get it, having no such option or a given value of it"
            if others
            else ""
        )
        sentences.append(
            f"The option {option} was tried as {listing(list(values))}"
            + (f" for {listing(had)}" if had else "")
            + f"{without}."
        )
    return sentences


def tuning_cautions(summary: Summary) -> list[str]:
    """Say where the tuning may have been too small: trials that failed, and values at the edge."""
    tuning = summary.study.tuning
    if tuning is None:
        return []
    sentences = [
        f"{one.failed} of the {len(one.trials)} trials of {name_in_sentence(one.label)} failed; they count "
        "as trials."
        + ("" if one.best.validation is not None else " It keeps the recipe's own values, untried.")
        for one in tuning.candidates
        if one.failed
    ]
    at_edge = []
    for key, name in KEYS:
        for edge in ("highest", "lowest"):
            found = [one for one in tuning.candidates if _edge(tuning, one, key) == edge]
            if found:
                value = getattr(tuning.proposals[found[0].chosen], key)
                who = listing([name_in_sentence(one.label) for one in found])
                at_edge.append(f"{value:g}, the {edge} {name} ({who})")
    if at_edge:
        sentences.append(
            f"At the edge of what was tried: {listing(at_edge)}. Better values may lie beyond: give more "
            "trials, or a recipe nearer to these."
        )
    return sentences


def tuning_numbers(summary: Summary) -> Iterator[dict[str, object]]:
    """Give each trial of each candidate; an option that it does not vary is None."""
    tuning = summary.study.tuning
    if tuning is None:
        return
    for one in tuning.candidates:
        for trial in one.trials:
            proposal = tuning.proposal(trial.number, one.options)
            yield {
                "attention": one.label,
                "seed": tuning.seed,
                "trial": trial.number,
                "learning_rate": proposal.learning_rate,
                "weight_decay": proposal.weight_decay,
                **{option: proposal.options.get(option) for option in tuning.options},
                f"validation_{summary.metric.name}": trial.validation,
                "epochs": trial.epochs,
                "state": trial.state,
                "chosen": trial.number == one.chosen,
            }
