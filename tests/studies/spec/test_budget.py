from typing import Any

import pytest

from foveate.errors import RequestError
from foveate.studies.spec.making import make_study

STUDY: dict[str, Any] = {"data": "digits", "backbone": "cifar_resnet8", "attention": "none,se"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_seeds": 5}, "max_seeds belongs to until_decided: give --until-decided, too"),
        ({"max_hours": 5}, "max_hours belongs to until_decided"),
        ({"spending": "pocock"}, "spending belongs to until_decided"),
        ({"until_decided": True, "seeds": 1}, "takes at least 2 seeds"),
        ({"until_decided": True, "seeds": 5, "max_seeds": 4}, "at least the 5 seeds of the first look"),
        ({"until_decided": True, "max_seeds": 101}, "at most 100"),
        ({"until_decided": True, "max_seeds": 0}, "max_seeds = 0: expected at least the 3 seeds"),
        ({"until_decided": True, "max_hours": 0}, "a number of hours over 0"),
        ({"until_decided": True, "max_hours": float("nan")}, "max_hours"),
        ({"until_decided": True, "spending": "haybittle"}, "obrien-fleming"),
    ],
)
def test_budgets_that_cannot_be_kept_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        make_study(STUDY | settings, {})


def test_a_study_without_it_is_written_as_before() -> None:
    content = make_study(STUDY, {}).model_dump(mode="json")
    assert not {"until_decided", "max_seeds", "max_hours", "spending"} & content.keys()
    study = make_study(STUDY | {"until_decided": True, "max_seeds": 7}, {})
    assert (study.until_decided, study.max_seeds, study.spending) == (True, 7, None)
