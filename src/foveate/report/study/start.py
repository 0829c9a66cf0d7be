"""Sentences on what the candidates of a study start from, and on the rates at which their parts learn."""

from pathlib import PurePath

from foveate.notation import listing
from foveate.records.labels import BASELINE, display_name, name_in_sentence
from foveate.records.start import Start
from foveate.records.study import StudyDescription

__all__ = ["start_sentences"]

DIGEST_SHOWN = 12
RATES = (("the backbone", "backbone_rate"), ("attention", "attention_rate"), ("the head", "head_rate"))
"""The parts of a network in a sentence, and the recipe keys with their shares of the learning rate."""


def start_sentences(study: StudyDescription) -> list[str]:
    """Say what attention the backbones have of their own, and from what candidates start at which rates.

    Without own attention, pretrained weights and several rates there is nothing to say.
    """
    sentences = [own.sentence for own in study.own_attention]
    sentences += [] if study.start is None else _weights(study.start)
    shares = [_number(study.recipe.get(key, 1.0)) for _, key in RATES]
    if study.start is not None or len(set(shares)) > 1:
        sentences.append(_rates(study, shares))
    return sentences


def _weights(start: Start) -> list[str]:
    sentences = [
        f"Training starts from pretrained weights of {one.backbone} ({PurePath(one.file).name}, SHA-256 "
        f"{one.sha256[:DIGEST_SHOWN]}…); images are normalised as these weights expect."
        for one in start.weights
    ]
    if start.as_baseline:
        one = len(start.as_baseline) == 1
        sentences.append(
            f"{listing([*map(display_name, start.as_baseline)])} {'starts' if one else 'start'} as "
            f"{name_in_sentence(BASELINE)} does: attention has no effect before it has learned."
        )
    if start.from_untrained_gates:
        one = len(start.from_untrained_gates) == 1
        named = listing([*map(display_name, start.from_untrained_gates)])
        sentences.append(
            f"{named} {'does' if one else 'do'} not start as {name_in_sentence(BASELINE)} does: untrained "
            "attention changes the pretrained network from the first step on."
        )
    return sentences


def _rates(study: StudyDescription, shares: list[float]) -> str:
    peak, warmup = _number(study.recipe.get("learning_rate")), _number(study.recipe.get("warmup_ratio", 0))
    whose = (
        "The highest learning rate" if study.tuning is None else "Before tuning, the highest learning rate"
    )
    if len(set(shares)) == 1:
        said = f"{whose} is {peak * shares[0]:.3g} for all parts of the network"
    else:
        parts = [f"{peak * share:.3g} for {part}" for (part, _), share in zip(RATES, shares, strict=True)]
        said = f"{whose}s are {listing(parts)}"
    return said + (f", after a warm-up over {100 * warmup:.3g} % of the steps." if warmup else ".")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
