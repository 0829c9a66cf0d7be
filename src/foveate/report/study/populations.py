"""What intervals speak of: new seeds on these images, or on new images; all metrics for both."""

from foveate.notation import count
from foveate.records.labels import display_name
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.study.summary import Summary

__all__ = ["metrics_table", "population_sentences"]


def population_sentences(summary: Summary) -> list[str]:
    """Say what the two intervals of a comparison speak of, and on which the verdict rests."""
    images = count(summary.study.data.test, "test image")
    if summary.scores_obstacle:
        return [
            f"Nothing can be said about new images: {summary.scores_obstacle}. Intervals and tests are for "
            f"new seeds on these {images}."
        ]
    if not any(test.new_images for test in summary.comparisons):
        return []
    rests = "new images" if summary.rests_on == "new-images" else "these images"
    return [
        f"On these images: a new seed, tested on the same {images}; the error is the spread between seeds "
        "(paired t-test). On new images: a new seed, tested on other images of the same kind; the spread "
        f"between images is added to the error (seeds and images are crossed random effects). The verdict "
        f"rests on {rests}."
    ]


def metrics_table(summary: Summary) -> Table | None:
    """Return one row per metric and comparison; None without scores of single images."""
    if not summary.metric_differences:
        return None
    columns = [
        Column("Metric"),
        Column("Pair", "The second minus the first, matched seed by seed.", is_text=True),
        Column("Difference", "Mean over seeds on the test part; in points for metrics in per cent."),
        Column("On these images", "95 % interval for new seeds on these images (Student's t)."),
        Column("On new images", "95 % interval for new seeds on new images, from draws of the images."),
        Column(
            "Pigeonhole",
            "The same by a bootstrap of seeds and images at once, a check that is usually too wide.",
        ),
    ]
    rows = [
        [
            Cell(one.metric.title),
            Cell(f"{display_name(one.a)} → {display_name(one.b)}"),
            Cell(one.metric.write_difference(one.difference)),
            *(
                Cell(one.metric.write_interval(bounds))
                for bounds in (one.these_images, one.new_images, one.pigeonhole)
            ),
        ]
        for one in summary.metric_differences
    ]
    return Table("metrics", "Differences of all metrics, for both populations", columns, rows)
