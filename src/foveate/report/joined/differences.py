"""What studies differ in, key by key, besides the candidates that they compare."""

from collections.abc import Sequence
from dataclasses import dataclass

from foveate.records.base import Json, JsonObject
from foveate.records.study import StudyRecords

__all__ = ["Difference", "find_differences"]

DATA = ("name", "fingerprint", "image_size", "channels", "train_fraction", "train", "validation", "test")
"""The keys of a study's data that say which images it has."""
KERNEL_PATH = "auto"
"""The kernel path of mechanisms whose costs were measured before that was recorded."""

Settings = dict[str, dict[str, Json]]
"""What a study was made with: values by part and key."""


@dataclass(frozen=True)
class Difference:
    """A key in which studies differ: the part of the study it belongs to, and the value in each study.

    A value is None where a study does not have the key.
    """

    part: str
    key: str
    values: tuple[Json, ...]

    def to_json(self) -> JsonObject:
        """Return the difference as `--json` gives it."""
        return {"part": self.part, "key": self.key, "values": list(self.values)}


def find_differences(studies: Sequence[StudyRecords]) -> tuple[Difference, ...]:
    """Return what the studies differ in.

    This compares network, data, recipe, the seeds and the adjustment of p values, versions and hardware, and
    how cost was measured; not the candidates, which are the rows of the joined table.
    """
    settings = [_settings(records) for records in studies]
    keys = dict.fromkeys((part, key) for part in settings[0] for one in settings for key in one[part])
    found = [Difference(part, key, tuple(one[part].get(key) for one in settings)) for part, key in keys]
    return tuple(one for one in found if any(value != one.values[0] for value in one.values))


def _settings(records: StudyRecords) -> Settings:
    study, cost = records.study.to_json(), records.cost.to_json()
    # Of the conditions, only the kernel path is not recorded elsewhere.
    conditions = records.cost.conditions
    path = conditions.path if conditions else KERNEL_PATH
    own = {key: value for key, value in cost.items() if key not in ("rows", "conditions", "timing")}
    return {
        "network": {
            "backbone": study["backbone"],
            **_over_backbone(records),
            "pretrained": records.study.pretrained,
            "weights": ", ".join(records.study.weights_sha256) or None,
            "replace_own": any(own.replaced for own in records.study.own_attention),
        },
        "data": {key: study["data"].get(key) for key in DATA} | {"classes": len(study["data"]["classes"])},
        "recipe": {**study["recipe"], **_tuned(records)},
        "statistics": _statistics(records),
        "environment": study["environment"],
        "cost": {**own, "path": path},
    }


def _statistics(records: StudyRecords) -> dict[str, Json]:
    """Return how differences are tested, with what holds where nothing was asked for, in words."""
    study, metric = records.study, records.study.task.primary
    margin, plan = study.statistics.margin_for(metric), study.sequential
    return {
        "seeds": list(study.seeds),
        **study.statistics.to_json(),
        "margin": None if margin is None else metric.write_size(margin),
        "population": study.statistics.rests_on.replace("-", " "),
        "until_decided": plan is not None,
        "max_seeds": plan.max_seeds if plan else None,
    }


def _over_backbone(records: StudyRecords) -> dict[str, Json]:
    """Return the detector or segmenter of a study, if it has one."""
    dense = records.study.dense
    if dense is None:
        return {}
    return {"detector or segmenter": dense.label, "norm": dense.norm, "attention_in": dense.attention_in}


def _tuned(records: StudyRecords) -> dict[str, Json]:
    """Return the trials of each candidate and the options that these vary, if the study was tuned."""
    tuning = records.study.tuning
    if tuning is None:
        return {}
    options: dict[str, Json] = {f"tune_option {key}": list(one) for key, one in tuning.options.items()}
    return {"tune": len(tuning.proposals), **options}
