"""What a record of `foveate robustness` holds: rows by network, and which conditions are there to the end."""

from typing import Any, NamedTuple

__all__ = ["CLEAN", "COMMON", "Measured", "complete_corruptions", "read_measured"]

CLEAN = "clean"
# fmt: off
COMMON = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)
# fmt: on
"""The 15 corruptions that the mean corruption error is of (Hendrycks and Dietterich 2019)."""

Row = dict[str, Any]


class Measured(NamedTuple):
    """What was measured of one network: rows by (corruption, severity), and by (attack, ε)."""

    label: str
    seed: int | None
    conditions: dict[tuple[str, int | None], Row]
    attacks: dict[tuple[str, float | None], Row]

    def accuracy(self, corruption: str, severity: int | None = None) -> float | None:
        """None where it was not measured."""
        return self.conditions.get((corruption, severity), {}).get("accuracy")


def read_measured(record: dict[str, Any]) -> list[Measured]:
    """The networks of a record that have rows."""
    networks = {one["name"]: Measured(one["label"], one["seed"], {}, {}) for one in record["networks"]}
    for row in record["rows"]:
        key = row["key"]
        one = networks.get(key["network"])
        if one is None:
            continue
        if "attack" in key:
            one.attacks[key["attack"], key["eps"]] = row
        else:
            one.conditions[key["corruption"], key["severity"]] = row
    return [one for one in networks.values() if one.conditions or one.attacks]


def complete_corruptions(
    record: dict[str, Any], measured: list[Measured]
) -> tuple[dict[str, list[int | None]], dict[str, tuple[int, int]]]:
    """The severities of each corruption that was measured in all that was asked for, and what was done.

    The second is, of "conditions" and of "attacks" on single networks, how many there are and of how many. A
    condition is there once any network was measured: one that was left out is named elsewhere.
    """
    there = dict.fromkeys(place for one in measured for place in one.conditions if place[0] != CLEAN)
    asked = [(name, severity) for name, severity in record.get("conditions", there)]
    severities: dict[str, list[int | None]] = {}
    for name, severity in asked:
        severities.setdefault(name, []).append(severity)
    complete = {
        name: levels for name, levels in severities.items() if all((name, level) in there for level in levels)
    }
    settings = record.get("settings", {})
    attacks = len(set(settings.get("attacks", ()))) * len(set(settings.get("eps", ())))
    attacked = sum(eps is not None for one in measured for _, eps in one.attacks)
    done = {
        "conditions": (sum(place in there for place in asked), len(asked)),
        "attacks": (attacked, max(attacked, attacks * len(record["networks"]))),
    }
    return complete, done
