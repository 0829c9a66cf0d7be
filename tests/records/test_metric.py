import pytest

from foveate.records.metric import CLASSIFICATION, Metric

ACCURACY = CLASSIFICATION.primary
ERROR = Metric(name="mae", title="MAE", unit="number", higher_is_better=False, high=None, digits=3)


def test_a_fraction_is_written_in_per_cent_and_its_differences_in_points():
    assert ACCURACY.heading == "Accuracy, %"
    assert ACCURACY.heading_on("Validation") == "Validation accuracy, %"
    assert ACCURACY.heading_of_difference("Gain") == "Gain, points"
    assert ACCURACY.write(0.9512) == "95.12"
    assert ACCURACY.write_difference(-0.0051) == "−0.51"
    assert ACCURACY.write_size(-0.0216) == "2.16 points"
    assert ACCURACY.write_interval((-0.01, 0.02)) == "−1.00 to 2.00"


def test_a_number_is_written_with_its_digits_and_without_a_unit():
    assert ERROR.heading == "MAE"
    assert ERROR.heading_on("Validation") == "Validation MAE"
    assert ERROR.heading_of_difference("Gain") == "Gain"
    assert (ERROR.write(1.23456), ERROR.write_difference(0.5), ERROR.write_size(-0.5)) == (
        *("1.235", "+0.500", "0.500"),
    )


def test_what_is_not_known_is_a_dash():
    metric = ACCURACY
    assert {metric.write(None), metric.write_difference(None), metric.write_interval(None)} == {"–"}
    assert metric.write_detectable(None) == "–"


@pytest.mark.parametrize(
    ("title", "noun"),
    [("Accuracy", "accuracy"), ("Calibration error", "calibration error"), ("F1", "F1"), ("IoU", "IoU")],
)
def test_a_title_within_a_sentence(title, noun):
    assert Metric(name="x", title=title).noun == noun


def test_gains_have_the_sign_of_what_is_better():
    assert ACCURACY.gains((-0.1, 0.2)) == [-0.1, 0.2]
    assert ERROR.gains((-0.1, 0.2)) == [-0.2, 0.1]


def test_no_two_values_differ_by_more_than_the_bounds():
    assert ACCURACY.write_detectable(0.5) == "50.00"
    assert ACCURACY.write_detectable(1.0) == "none"
    assert ERROR.write_detectable(1.0) == "1.000"
