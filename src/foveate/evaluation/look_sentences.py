"""What a look at a study came to, and what stopped the study, in sentences for people."""

import math
from collections.abc import Iterable, Mapping

from scipy import stats

from foveate.evaluation.looks import Course
from foveate.evaluation.sampled import Pair
from foveate.evaluation.significance import Outcome
from foveate.notation import count, listing, short_p
from foveate.records.labels import display_name, name_in_sentence
from foveate.records.study import StudyDescription

__all__ = ["course_phrase", "look_sentence", "stop_sentences"]


def course_phrase(study: StudyDescription, course: Course) -> str:
    """Say what a comparison came to at its last look, with the p value and its level."""
    b, a = display_name(course.b), name_in_sentence(course.a)
    if not course.looks:
        return f"{b} and {a} have no look yet"
    look, metric = course.looks[-1], study.task.primary
    margin = study.statistics.margin_for(metric)
    if look.outcome is Outcome.EQUIVALENT:
        return (
            f"{b} equivalent to {a} within {metric.write_size(margin or 0.0)} "
            f"({_against(look.equivalence_p, look.level.equivalent)})"
        )
    figures = _against(look.p, look.level.different)
    if look.is_decided:
        return f"{b} {look.outcome.value} than {a} ({figures})"
    return f"{b} against {a} open ({figures})"


def look_sentence(study: StudyDescription, courses: Mapping[Pair, Course], seeds: int) -> str:
    """Say what the look after so many `seeds` came to; comparisons that were decided before are not named."""
    plan = study.sequential
    number = seeds - plan.first + 1 if plan else 1
    now = [one for one in courses.values() if not one.is_decided or one.looks[-1].pairs >= seeds]
    phrases = "; ".join(course_phrase(study, course) for course in now) or "nothing was left to decide"
    return f"look {number}, {count(seeds, 'seed')}: {phrases}"


def stop_sentences(study: StudyDescription, courses: Mapping[Pair, Course]) -> list[str]:
    """Say what stopped a study that was planned look by look, and what stays open, and why."""
    plan = study.sequential
    if plan is None:
        return []
    seeds = max((one.looks[-1].pairs for one in courses.values() if one.looks), default=0)
    open_ = [one for one in courses.values() if not one.is_decided]
    untrained = sorted(set(study.attention) - {label for pair in courses for label in pair})
    if plan.stopped == "decided" and open_:
        return [
            f"All was decided when this study ended; by its records of now {listing([*map(_names, open_)])} "
            f"{'is' if len(open_) == 1 else 'are'} open. Records were changed since, or scores of single "
            "images are missing."
        ]
    spent = {
        "decided": f"All is decided: it took {count(seeds, 'seed')}, of at most {plan.max_seeds}.",
        "max-seeds": f"The budget of {plan.max_seeds} seeds is spent.",
        "max-hours": f"The hours of the command (--max-hours) were spent after {count(seeds, 'seed')}; the "
        "same command goes on.",
        "failed": "More seeds decide nothing: runs fail.",
        None: f"The study is not at its end: so far it has {count(seeds, 'seed')}; the same command goes on.",
    }[plan.stopped]
    sentences = [spent]
    if open_:
        sentences.append(f"Still open: {listing([_names(one) for one in open_])}.")
    if untrained:
        sentences.append(f"No pair of runs has finished with {listing([*map(display_name, untrained)])}.")
    return [*sentences, *_too_few_images(study, open_)]


def _too_few_images(study: StudyDescription, courses: Iterable[Course]) -> list[str]:
    """Name the comparisons that no number of seeds would decide, because of the choice of the images.

    With ever more seeds the standard error falls to the part of the images. If a true difference as large as
    the one seen would not pass even then, more seeds would probably not help.
    """
    plan, metric = study.sequential, study.task.primary
    margin = study.statistics.margin_for(metric)
    hopeless = []
    for course in courses:
        if not course.looks or plan is None:
            continue
        look, last = course.looks[-1], plan.levels[-1]
        error, size = math.sqrt(look.image_variance), abs(look.difference)
        if not error:
            continue
        apart = size > stats.norm.isf(float(last.different) / 2) * error
        near = margin is not None and margin - size > stats.norm.isf(float(last.equivalent)) * error
        if not apart and not near:
            hopeless.append(course)
    if not hopeless:
        return []
    return [
        f"More seeds would probably not decide {listing([_names(one) for one in hopeless], 'or')}: the "
        f"choice of the {study.data.test:,} test images alone leaves it open. More test images would, or a "
        "larger margin, or a verdict on these images (--population these-images)."
    ]


def _names(course: Course) -> str:
    return f"{display_name(course.b)} against {name_in_sentence(course.a)}"


def _against(p: float | None, level: float) -> str:
    if p is None:
        return "no spread between seeds"
    return f"p {short_p(p)}, level {short_p(level)}" if level else f"p {short_p(p)}, too early to decide"
