"""Renders the page of a study's report."""

from collections.abc import Sequence

from foveate.report.core.frame import render
from foveate.report.core.paired import paired_sentence
from foveate.report.core.section import Section
from foveate.report.core.theme import Figure
from foveate.report.study.claims import article_table, claims, conditions, with_article, with_points
from foveate.report.study.class_changes import MANY_CLASSES, class_changes_sentences
from foveate.report.study.confusions import NO_CONFUSIONS, Confusions
from foveate.report.study.contrasts import contrasts_table, search_sentences, search_table, values_table
from foveate.report.study.latency import measured_with, paired_latencies
from foveate.report.study.looks import looks_table, plan_sentences
from foveate.report.study.paying import paying_sentences, paying_table
from foveate.report.study.populations import metrics_table, population_sentences
from foveate.report.study.samples import Samples
from foveate.report.study.start import start_sentences
from foveate.report.study.summary import Summary
from foveate.report.study.tables import family_sentence, results_table, tests_table, training_table
from foveate.report.study.tuning import tuning_cautions, tuning_sentences, tuning_table
from foveate.report.study.undertraining import guessing_sentence
from foveate.report.study.words import image_size_words, lacking_sentence

__all__ = ["render_page"]


def render_page(
    summary: Summary,
    drawings: list[tuple[Figure, str]],
    sections: Sequence[Section] = (),
    confusions: Confusions = NO_CONFUSIONS,
    samples: Samples | None = None,
) -> str:
    """Render the page of `summary`; everything is escaped (see `foveate.report.core.frame.render`).

    Args:
        summary: the study in numbers.
        drawings: its figures, each with its SVG.
        sections: of what was examined of the trained networks.
        confusions: the confusion matrices that some of the figures draw.
        samples: pictures of test images.
    """
    return render(
        "study/page.html.j2",
        drawings,
        summary=summary,
        study=summary.study,
        data=summary.study.data,
        metric=summary.metric,
        many_classes=MANY_CLASSES,
        class_sentences=class_changes_sentences(summary.class_changes, summary.untested_classes),
        results=with_article(results_table(summary), summary),
        guessing=guessing_sentence(summary),
        family=family_sentence(summary),
        tests=tests_table(summary),
        population=population_sentences(summary),
        metrics=metrics_table(summary),
        looks=looks_table(summary),
        looks_sentences=plan_sentences(summary),
        contrasts=with_points(contrasts_table(summary), summary),
        values=values_table(summary),
        search=search_table(summary),
        search_sentences=search_sentences(summary),
        tuning=tuning_table(summary),
        tuning_sentences=[*tuning_sentences(summary), *tuning_cautions(summary)],
        training=training_table(summary),
        paying=paying_table(summary),
        paying_sentences=paying_sentences(summary),
        paired=paired_sentence(paired_latencies(summary.rows)),
        measured=measured_with(summary.cost, summary.noise),
        against=summary.against,
        article=article_table(summary) if summary.against else None,
        conditions=conditions(summary) if summary.against else [],
        claims=claims(summary) if summary.against else [],
        start=start_sentences(summary.study),
        sections=sections,
        image_size=image_size_words(summary),
        lacking=lacking_sentence(summary),
        confusions=confusions,
        samples=samples,
    )
