import json
from dataclasses import replace

import pytest
from synthetic_study import edit_json, write_study

from foveate.records.study import read_study
from foveate.report.core.files import as_markdown
from foveate.report.study.summarise import summarise
from foveate.report.study.tables import results_table
from foveate.report.study.undertraining import improvement_sentences


def verdict_of(folder, **options):
    return verdict_of_folder(write_study(folder, **options))


def verdict_of_folder(folder):
    """The verdict without the warning that the baseline is undertrained, as it is in these studies."""
    summary = summarise(read_study(folder))
    warnings = improvement_sentences(summary)
    return [sentence for sentence in summary.verdict if sentence not in warnings]


def test_names_the_best_its_evidence_and_its_price(tmp_path):
    headline, *rest = verdict_of(tmp_path)
    assert headline == (
        "Take dmsca if its price suits you: it was shown to be better than the baseline, and than se, "
        "which was better than the baseline, too."
    )
    assert rest[0].startswith(
        "dmsca is better than the baseline by 2.14 points of accuracy (95 % interval 1.98 to 2.30; "
    )
    assert rest[0].endswith(
        "price: 11.0 % more parameters, 2.9 % more multiply-adds and 135 % more latency. With a new seed it "
        "would beat the baseline with an estimated chance of over 99 %."
    )
    assert rest[2].startswith("cbam is worse than the baseline by 1.2")


def test_one_better_mechanism_is_taken_alone_and_the_others_left_open(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": 0.0004, "dmsca": 0.02}, seeds=6)
    assert (
        sentences[0]
        == "Take dmsca if its price suits you: it alone was shown to be better than the baseline."
    )
    assert any(
        sentence.startswith("se is equivalent to the baseline within ±0.50 points of accuracy: −0.")
        for sentence in sentences
    )


def test_what_is_neither_different_nor_equivalent_is_left_open(tmp_path):
    gains = {"none": 0.0, "se": 0.0004, "dmsca": 0.03}
    sentences = verdict_of(tmp_path, gains=gains, seeds=4, noise=0.006)
    assert (
        "For se no difference from the baseline was shown, which does not mean that there is none."
        in sentences
    )


def test_mechanisms_that_change_nothing_are_the_headline(tmp_path):
    gains = {"none": 0.0, "se": 0.0003, "dmsca": 0.0002}
    assert verdict_of(tmp_path, gains=gains, seeds=8, noise=0.002)[0] == (
        "Nothing here is worth a price: se and dmsca are practically the same as the baseline (within ±0.50 "
        "points)."
    )


def test_a_gain_under_the_margin_is_enough_to_drop_a_module(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": -0.004}, seeds=5, noise=0.003)
    assert (
        "Whatever se gains over the baseline is under 0.50 points (one-sided test at the same level)."
        in sentences
    )


def test_of_those_that_cannot_be_told_apart_the_cheapest_is_taken(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": 0.02, "dmsca": 0.0205}, seeds=6)
    assert sentences[0].startswith("Take se if its price suits you")
    assert "the cheapest of those that could not be told apart from the best, dmsca" in sentences[0]
    assert "it would likely have gone unseen" in sentences[0]


def test_the_best_is_taken_where_its_equals_cost_more(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": 0.022, "dmsca": 0.02}, seeds=6, noise=0.003)
    assert sentences[0].startswith("Take se if its price suits you")
    assert sentences[0].endswith("and dmsca, which could not be told apart from it, costs no less.")


def test_nobody_can_tell_says_what_could_have_been_detected(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": 0.001, "dmsca": 0.001}, seeds=3, noise=0.004)
    text = " ".join(sentences)
    assert sentences[0] == "Nobody can tell yet: no mechanism was shown to differ from the baseline."
    assert "The largest difference seen is" in text
    assert "With these 3 seeds only a difference of about" in text
    assert "would have been detected with 80 % chance, at a level of 5 % shared by 3 comparisons." in text
    assert "To detect a true difference as large as the one seen takes more than 100 seeds." in text


def test_a_reachable_number_of_seeds_is_said(tmp_path):
    text = " ".join(verdict_of(tmp_path, gains={"none": 0.0, "se": 0.0001}, seeds=8, noise=0.01))
    assert "with 80 % chance, at a level of 5 %. To detect" in text
    assert "takes about 74 seeds." in text


def test_only_worse(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "cbam": -0.02})
    assert sentences[0] == "No mechanism was shown to be better than the baseline."
    assert sentences[1].startswith("cbam is worse than the baseline by")


def test_one_seed(tmp_path):
    text = " ".join(verdict_of(tmp_path, seeds=1))
    assert "With one seed no test is possible" in text
    assert "Chance alone may have made it. Run at least three seeds" in text


def test_without_the_baseline_only_mechanisms_are_compared(tmp_path):
    sentences = verdict_of(tmp_path, gains={"se": 0.0, "dmsca": 0.02})
    assert sentences[0].startswith("Whether any mechanism is worth its cost cannot be said")
    assert sentences[1].startswith("dmsca is better than se by")


def test_the_cheapest_is_that_of_the_smallest_ratio_within_rounds(tmp_path):
    """The medians say that se is slower, in whichever state of the machine they were taken."""
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.02, "cbam": 0.0201}, noise=0.001)
    rows = json.loads((folder / "cost.json").read_text())["rows"]
    rows["se"] |= {"latency_ms_p50": 3.0, "latency_ms_p95": 3.1, "latency_ratio": 1.19}
    rows["cbam"] |= {"latency_ms_p50": 2.9, "latency_ms_p95": 3.0, "latency_ratio": 1.40}
    edit_json(folder / "cost.json", rows=rows)
    summary = summarise(read_study(folder))
    assert summary.verdict[0].startswith("Take se if its price suits you")
    assert [row.price.latency_ratio for row in summary.rows] == [1.0, 1.19, 1.40]
    assert summary.rows[1].price.latency_increase_percent == pytest.approx(19)


def test_a_noisy_measurement_is_said(tmp_path):
    folder = write_study(tmp_path)
    quiet = summarise(read_study(folder))
    assert quiet.noise == ()
    rows = json.loads((folder / "cost.json").read_text())["rows"]
    rows["none"]["latency_ms_p95"] = 9.0
    edit_json(folder / "cost.json", rows=rows)
    summary = summarise(read_study(folder))
    assert len(summary.noise) == 1
    (said,) = set(summary.verdict) - set(quiet.verdict)
    assert said.startswith(
        "Latencies were measured on a busy machine, and are rough: the baseline's own p95 is 4.27"
    )
    assert "? +17.5 %" in as_markdown(results_table(summary))
    assert "?" not in as_markdown(results_table(quiet)).partition("|")[2]


def test_ratios_are_to_the_baseline_wherever_it_stood_when_they_were_measured(tmp_path):
    """0.1.0 measured in the order that was asked for, and its ratios are to the first."""
    folder = write_study(tmp_path, gains={"se": 0.02, "none": 0.0})
    rows = json.loads((folder / "cost.json").read_text())["rows"]
    rows["se"]["latency_ratio"], rows["none"]["latency_ratio"] = 1.0, 0.8
    edit_json(folder / "cost.json", rows=rows)
    baseline, se = (row.price for row in summarise(read_study(folder)).rows)
    assert (baseline.latency_ratio, se.latency_ratio) == (1.0, pytest.approx(1.25))
    assert se.latency_ratio_ci95 is None


def test_equal_spacing_over_seeds_is_no_evidence(tmp_path):
    sentences = verdict_of(tmp_path, gains={"none": 0.0, "se": 0.01}, noise=0.0)
    assert sentences[0].startswith("Nobody can tell yet")
    assert (
        "The difference of se from the baseline is +1.00 points, the same difference in each seed: no spread"
        in sentences[1]
    )


def test_a_larger_difference_that_cannot_be_tested_is_not_denied(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.03, "eca": 0.01}, noise=0.0)
    for path in folder.glob("runs/*/result.json"):
        result = json.loads(path.read_text())
        if (result["spec"]["attention"]["name"], result["spec"]["seed"]) == ("eca", 0):
            edit_json(path, test=result["test"] | {"accuracy": result["test"]["accuracy"] - 0.05})
    sentences = verdict_of_folder(folder)
    # −4 points in one seed of five, +1 in the others: 0.
    assert sentences[1].startswith(
        "The largest difference seen that could be tested is +0.00 points (eca against"
    )
    assert "se from the baseline is +3.00 points, the same difference in each seed" in " ".join(sentences)


def test_a_single_mechanism_has_nothing_to_be_compared_with(tmp_path):
    assert verdict_of(tmp_path, gains={"none": 0.0})[0].startswith("Only the baseline has finished runs")


@pytest.mark.parametrize(("seeds", "verb"), [(3, "is"), (1, "is")])
def test_missing_runs_are_counted(tmp_path, seeds, verb):
    sentences = verdict_of(tmp_path, seeds=seeds, unfinished=("se", 0))
    assert f"1 of the {4 * seeds} runs {verb} missing; this rests on the others." in sentences


def test_says_how_far_it_reaches(tmp_path):
    assert verdict_of(tmp_path)[-1] == (
        "This speaks for cifar_resnet20 on digits under this recipe. The intervals tell of chance between "
        "seeds, not of chance in the choice of the 360 test images (20 runs without scores of single images "
        "(runs of foveate 0.1.0 lack them))."
    )


def test_controls_alone_have_no_verdict(tmp_path):
    control = {"label": "se", "of": "cbam", "measure": "macs", "asked": 2.0, "reached": 2.0}
    folder = write_study(tmp_path, gains={"se": 0.0, "cbam": 0.0}, seeds=1, unfinished=("cbam", 0))
    edit_json(folder / "study.json", design={"kind": "compare", "controls": [control]})
    assert summarise(read_study(folder)).verdict[0] == (
        "Nobody can tell yet: only cost-matched controls have finished runs."
    )


def test_the_best_mean_of_networks_may_be_the_worse_one_on_common_seeds(tmp_path):
    gains = {"none": 0.0, "se": 0.02}
    folder = write_study(tmp_path, gains=gains, seeds=4, noise=0.0005, unfinished=("none", 0))
    edit_json(folder / "study.json", design={"kind": "networks"})
    records = read_study(folder)
    lifted = {  # the run that the other one has not got makes the mean
        seed: run.model_copy(
            update={"test": run.test.model_copy(update={"accuracy": 0.2 if seed == 0 else run.test.accuracy})}
        )
        for seed, run in records.results["se"].items()
    }
    summary = summarise(replace(records, results=records.results | {"se": lifted}))
    assert summary.rows[0].scores["accuracy"].mean > summary.rows[1].scores["accuracy"].mean
    assert summary.verdict[0] == (
        "baseline has the highest mean, but not on the seeds that others share with it."
    )
    assert summary.verdict[2].startswith("se is better than baseline by ")
