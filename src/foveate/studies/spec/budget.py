"""The budget of a study that adds seeds until it is decided (--until-decided)."""

from foveate.errors import RequestError
from foveate.studies.spec.defaults import MAX_SEEDS

__all__ = ["check_budget"]

MOST_LOOKED_AT = 100
"""Seeds of a study that is looked at after each of them."""


def check_budget(
    *, until_decided: bool, first: int, max_seeds: int | None, max_hours: float | None, spending: str | None
) -> None:
    """Refuse a budget that cannot be kept, or that belongs to no such study.

    Args:
        until_decided: whether seeds are added until the study is decided.
        first: seeds of the first look.
        max_seeds: at most so many in all; None is the default.
        max_hours: no other round after so many hours; None is no limit.
        spending: how alpha is spent; None is the default.
    """
    budget = {"max_seeds": max_seeds, "max_hours": max_hours, "spending": spending}
    alone = [key for key, value in budget.items() if value is not None]
    if alone and not until_decided:
        raise RequestError(f"{alone[0]} belongs to until_decided: give --until-decided, too")
    if not until_decided:
        return
    if first < 2:
        raise RequestError(f"seeds = {first}: the first look of until_decided takes at least 2 seeds")
    most = MAX_SEEDS if max_seeds is None else max_seeds
    if not first <= most <= MOST_LOOKED_AT:
        raise RequestError(
            f"max_seeds = {most}: expected at least the {first} seeds of the first look, and at most "
            f"{MOST_LOOKED_AT}"
        )
    if max_hours is not None and not max_hours > 0:
        raise RequestError(f"max_hours = {max_hours:g}: expected a number of hours over 0")
