"""What a study records of its looks: the plan of --until-decided, and the reports that were read before."""

import itertools
from pathlib import Path

from foveate.errors import RequestError, WorkError
from foveate.evaluation.deciding import make_boundary
from foveate.evaluation.sequential import PATHS, SIMULATION_SEED
from foveate.notation import count
from foveate.records.design import Design
from foveate.records.sequential import Level, LookByHand, LooksByHand, SequentialPlan
from foveate.records.study import Statistics, StudyRecord, read_study
from foveate.studies.spec.defaults import MAX_SEEDS, SPENDING
from foveate.studies.spec.study import StudySpec

__all__ = ["looks_by_hand", "plan_conflict", "plan_looks"]


def plan_looks(
    study: StudySpec, whole: StudySpec, statistics: Statistics, there: StudyRecord | None
) -> SequentialPlan | None:
    """Return the plan of the looks at `study`; None unless it is to be decided.

    A study that was begun keeps its plan: its alpha was divided among its looks before the first one. `whole`
    is the study together with that of the folder; all its comparisons are to be decided.
    """
    if not study.until_decided:
        return None
    comparisons = count_comparisons(whole.design, [candidate.label for candidate in whole.attention])
    if there is not None and there.sequential is not None:
        plan = there.sequential
        if comparisons != plan.comparisons:
            raise RequestError(
                f"the plan of this study (--until-decided) is for {count(plan.comparisons, 'comparison')}, "
                f"and this command asks for {comparisons}: its alpha was divided among them before the first "
                "look. Give what it was begun with, or another --out"
            )
        return plan
    first = len(study.seeds)
    most = MAX_SEEDS if study.max_seeds is None else study.max_seeds
    if not comparisons:
        raise RequestError("until_decided: the study compares nothing, so that nothing can be decided")
    spending = study.spending or SPENDING
    boundary = make_boundary(first, most, statistics.alpha, comparisons, spending)
    rows = zip(boundary.looks, boundary.different, boundary.equivalent, strict=True)
    more = (seed for seed in itertools.count() if seed not in study.seeds)
    return SequentialPlan(
        first=first,
        seeds=(*study.seeds, *itertools.islice(more, most - first)),
        spending=spending,
        alpha=statistics.alpha,
        comparisons=comparisons,
        paths=PATHS,
        simulation_seed=SIMULATION_SEED,
        levels=tuple(Level(pairs=n, different=a, equivalent=b) for n, a, b in rows),
    )


def count_comparisons(design: Design, labels: list[str]) -> int:
    """Return the number of different pairs that are compared."""
    return len({(pair.a, pair.b) for pair in design.pairs(labels)})


def plan_conflict(study: StudySpec, record: StudyRecord) -> str | None:
    """Say why `study` cannot go on with the plan of `record`; None if it can, or if neither has one.

    A plan is not changed after its first look: more seeds, other levels, another margin or other comparisons
    would be chosen by what was seen, and its alpha is spent.
    """
    plan = record.sequential
    if plan is None:
        return None
    if not study.until_decided:
        return "it was planned with --until-decided, and its looks are counted: give that, too"
    controls = {control.label for control in record.design.controls}
    asked = {candidate.label for candidate in study.attention} - controls
    if asked != set(record.attention) - controls:
        return "its plan (--until-decided) is for other candidates, and is not changed after its first look"
    metric, margin = record.task.primary, record.statistics.margin_for(record.task.primary)
    first = plan.seeds[: plan.first]

    def size(one: float | None) -> str:
        return "none" if one is None else metric.write_size(one)

    settings = (
        ("first look at seeds", first, study.seeds),
        ("max_seeds", plan.max_seeds, plan.max_seeds if study.max_seeds is None else study.max_seeds),
        ("adjust", record.statistics.adjust, study.adjust),
        ("spending", plan.spending, study.spending or plan.spending),
        ("family", record.design.family, study.family or record.design.family),
        ("margin", *map(size, (margin, margin if study.margin is None else study.margin_of_metric))),
        ("population", record.statistics.rests_on, study.population or record.statistics.rests_on),
    )
    for name, old, new in settings:
        if old != new:
            return (
                f"it was planned (--until-decided) with {name} {old} instead of {new}, and a plan is not "
                "changed after its first look"
            )
    return None


def looks_by_hand(
    out: Path,
    there: StudyRecord | None,
    seeds: tuple[int, ...],
    *,
    has_report: bool,
    begins_plan: bool = False,
) -> LooksByHand | None:
    """Return the looks at the study in `out` before this one, where it is to have these `seeds`.

    A report that is there when seeds are added was a look, and so was one that is there when the study
    `begins_plan`, which will add seeds; `there` is the record of that study. Candidates that are added are no
    look at the same comparison.
    """
    if there is None:
        return LooksByHand(since_first=True, earlier=())
    adds_seeds = begins_plan or bool(set(seeds) - set(there.seeds))
    if there.sequential is not None or not has_report or not adds_seeds:
        return there.looks
    try:
        results = read_study(out).results
    except (RequestError, WorkError):
        return there.looks
    look = LookByHand(runs={label: tuple(sorted(runs)) for label, runs in results.items() if runs})
    before = there.looks or LooksByHand(since_first=False, earlier=())
    return LooksByHand(since_first=before.since_first, earlier=(*before.earlier, look))
