from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic_study import edit_json, write_study

from foveate.attention import list_attention
from foveate.errors import RequestError
from foveate.evaluation.significance import outcome
from foveate.records.metric import TaskRecord
from foveate.records.study import read_study
from foveate.report.study import articles
from foveate.report.study.article_names import ARTICLES
from foveate.report.study.articles import find_article, printed_beside
from foveate.report.study.build import build_report
from foveate.report.study.claims import (
    article_table,
    claims,
    conditions,
    points_cell,
    with_article,
    with_points,
)
from foveate.report.study.contrasts import contrasts_table
from foveate.report.study.printed import PrintedRow
from foveate.report.study.summarise import summarise
from foveate.report.study.summary import Summary
from foveate.report.study.tables import results_table
from foveate.training.recipe import read_recipe

DMSCA, SGFA = "dmsca-article", "sgfa-article"
CIFAR = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4, "schedule": "cosine"}
CIFAR |= {"batch_size": 64, "epochs": 200}


def summary_of(folder: Path, design: dict[str, Any] | None = None, **options: Any) -> Summary:
    write_study(folder, epochs=1, seeds=2, classes=["a", "b", "c"], **options)
    edit_json(folder / "study.json", **({"design": design} if design else {}))
    return summarise(read_study(folder))


def like(
    summary: Summary, backbone: str, data: str = "cifar10", *, classes: int = 10, **changes: Any
) -> Summary:
    """The study of `summary` under other names: what the figures of an article are chosen by."""
    size = 224 if "imagenet" in data.lower() else 32
    named = {"name": data, "classes": ("class",) * classes, "image_size": size}
    named["train_fraction"] = changes.pop("train_fraction", 1.0)
    others = {"recipe": CIFAR, "backbone": backbone, "data": summary.study.data.model_copy(update=named)}
    return replace(summary, study=summary.study.model_copy(update=others | changes))


def beside(article: str, summary: Summary) -> Summary:
    return replace(summary, against=printed_beside(article, summary))


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Summary:
    """A study of plain, SE, CBAM and DMSCA."""
    return summary_of(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def claimed(tmp_path_factory) -> Summary:
    """A study of plain and DMSCA, beside the article on DMSCA."""
    summary = summary_of(tmp_path_factory.mktemp("claimed"), gains={"none": 0, "dmsca": 0})
    return beside(DMSCA, like(summary, "cifar_resnet18"))


def ablation(*contrasts):
    return {
        "kind": "ablate",
        "subject": "x",
        "contrasts": [
            dict(zip("ab", c[:2], strict=True)) | {"title": c[2], "group": c[3]} for c in contrasts
        ],
    }


def test_figures_are_those_printed_as_fractions_and_single_parameters():
    settings = {(setting.network, setting.data): setting.rows for setting in find_article(DMSCA).settings}
    assert settings["ResNet-18", "CIFAR-10"]["none"] == PrintedRow(accuracy=0.942, std=0.001)
    of_cifar100 = settings["ResNet-18", "CIFAR-100"]
    assert [of_cifar100[name].accuracy for name in ("se", "cbam", "eca", "ca")] == [
        *(0.761, 0.765, 0.763, 0.767)
    ]
    assert settings["ResNet-34", "ImageNet"]["cbam"] == PrintedRow(accuracy=0.7425)
    assert settings["ResNet-50", "ImageNet"] == {"dmsca": PrintedRow(gain=0.0152)}
    table_1, table_2 = (setting.rows for setting in find_article(SGFA).settings)
    assert {label: (row.accuracy, row.macs) for label, row in table_1.items()} == {
        "none": (0.8850, 91e6),
        "sgfa_ca": (0.8861, 91e6),
        "scpa": (0.8971, 94e6),
        "sgfa": (0.9088, 109e6),
    }
    assert table_2["efficientvit_m4"] == PrintedRow(
        loss=0.3413, accuracy=0.8825, precision=0.8823, recall=0.8825, f1=0.8820, parameters=7.5e6
    )
    ablation = find_article(DMSCA).ablation
    assert ablation.points["alone"] == {"MSCE": 0.0073}


def test_every_article_has_its_name() -> None:
    assert tuple(articles._articles()) == ARTICLES


@pytest.mark.parametrize("article", ARTICLES)
def test_printed_gains_agree_with_printed_accuracies(article):
    for setting in find_article(article).settings:
        for row in setting.rows.values():
            if row.gain is not None and row.accuracy is not None:
                assert row.gain == pytest.approx(row.accuracy - setting.rows["none"].accuracy)


@pytest.mark.parametrize("article", ARTICLES)
def test_rows_are_labels_that_studies_have(article):
    for setting in find_article(article).settings:
        if setting.kind != "networks":
            assert set(setting.rows) <= {"none", *list_attention()}


def test_an_unknown_article_is_refused():
    with pytest.raises(RequestError, match="unknown article 'dmsca'. Choices: dmsca-article, sgfa-article"):
        find_article("dmsca")


@pytest.mark.parametrize(
    ("backbone", "data", "classes", "setting"),
    [
        ("cifar_resnet18", "cifar10", 10, "ResNet-18, CIFAR-10, 200 epochs"),
        ("cifar_resnet34", "uoft-cs/CIFAR-100:default", 100, "ResNet-34, CIFAR-100, 200 epochs"),
        ("torchvision/resnet50", "ILSVRC/imagenet-1k", 1000, "ResNet-50, ImageNet, 100 epochs"),
        ("resnet18.a1_in1k", "imagenet", 1000, "ResNet-18, ImageNet, 100 epochs"),
        # The same data come before the same network; neither: what the article prints first.
        ("cifar_resnet20", "cifar100", 100, "ResNet-18, CIFAR-100, 200 epochs"),
        ("cifar_resnet50", "digits", 10, "ResNet-50, CIFAR-10, 200 epochs"),
        ("convnext_tiny", "digits", 10, "ResNet-18, CIFAR-10, 200 epochs"),
    ],
)
def test_the_nearest_setting_is_taken(compared, backbone, data, classes, setting):
    printed = printed_beside(DMSCA, like(compared, backbone, data, classes=classes))
    assert printed.setting.startswith(setting)


def test_what_differs_is_said_in_words(compared):
    same = beside(DMSCA, like(compared, "cifar_resnet18"))
    assert same.against.differs == ()
    assert "that is this study's setting" in conditions(same)[0]
    recipe = CIFAR | {"epochs": 30, "batch_size": 512, "augmentation": ["crop", "flip", "erase"]}
    other = beside(DMSCA, like(compared, "cifar_resnet20", recipe=recipe, train_fraction=0.1))
    assert other.against.differs == (
        "cifar_resnet20 instead of ResNet-18",
        "10 % of the training part instead of all of it",
        "augmentation crop+flip+erase instead of crop+flip",
        "batch size 512 instead of 64",
        "epochs 30 instead of 200",
    )
    assert "This study's setting is another: cifar_resnet20 instead of ResNet-18" in conditions(other)[0]
    pretrained = printed_beside(DMSCA, like(compared, "cifar_resnet18", pretrained=True))
    assert pretrained.differs == ("pretrained weights instead of random ones",)


@pytest.mark.parametrize(
    ("article", "recipe", "backbone", "data", "classes"),
    [
        (DMSCA, "dmsca_cifar", "cifar_resnet18", "cifar100", 100),
        (DMSCA, "dmsca_imagenet", "resnet50", "imagenet", 1000),
        (SGFA, "sgfa_cifar10", "convnext_tiny", "cifar10", 10),
    ],
)
def test_our_recipes_after_the_articles_are_their_settings(
    compared, article, recipe, backbone, data, classes
):
    settings = read_recipe(recipe)
    printed = printed_beside(article, like(compared, backbone, data, classes=classes, recipe=settings))
    assert printed.differs == ()
    settings |= {"optimizer": "lamb"}
    printed = printed_beside(article, like(compared, backbone, data, classes=classes, recipe=settings))
    assert [words.partition(" instead")[0] for words in printed.differs] == ["optimizer lamb"]


def test_a_folder_of_the_same_name_with_other_classes_is_other_data(compared):
    printed = printed_beside(DMSCA, like(compared, "cifar_resnet18", classes=3))
    assert "cifar10 of 3 classes instead of CIFAR-10" in printed.differs


def test_rows_have_a_gain_that_is_printed_or_follows_from_the_accuracies(compared):
    printed = printed_beside(DMSCA, like(compared, "cifar_resnet18"))
    assert printed.row("none").to_json() == {"accuracy": 0.942, "std": 0.001}
    assert printed.row("se").to_json() == {"accuracy": 0.948, "gain": 0.006}
    assert printed.row("dmsca").to_json() == {"accuracy": 0.965, "gain": 0.023}
    assert printed.row("absent").to_json() == {}


def test_a_study_of_another_metric_has_nothing_beside_it(compared):
    accuracy, loss, *others = compared.study.task.metrics
    task = TaskRecord(name="made up", metrics=(loss, accuracy, *others))
    assert printed_beside(DMSCA, like(compared, "cifar_resnet18")).rows
    assert printed_beside(DMSCA, like(compared, "cifar_resnet18", task=task)).is_empty


def test_points_of_parts_by_group_and_title(tmp_path):
    contrasts = [
        ("none", "GCE", "GCE", "added one at a time"),
        ("GCE", "dmsca", "TCA", "added one at a time"),
        ("GCE", "dmsca", "TCA", "left out one at a time"),
        ("none", "alone", "MSCE", "alone"),
        ("none", "dmsca", "DMSCA", "all of it"),
    ]
    gains = dict.fromkeys(("none", "GCE", "dmsca", "alone"), 0.0)
    planned = summary_of(tmp_path, gains=gains, design=ablation(*contrasts))
    summary = beside(DMSCA, like(planned, "cifar_resnet18"))
    cells = [points_cell(summary, test).main for test in summary.comparisons]
    assert cells == ["+0.49", "+0.17", "–", "+0.73", "+1.8"]
    # The parts are CIFAR-100's, the accuracies CIFAR-10's, as the study is: both are said.
    assert summary.against.setting.startswith("ResNet-18, CIFAR-10,")
    assert summary.against.contrasts_setting.startswith("ResNet-18, CIFAR-100,")
    assert "cifar10 instead of CIFAR-100" in conditions(summary)[1]
    assert claims(summary)[0].startswith("GCE, added one at a time: the article's +0.49 points")
    table = with_points(contrasts_table(summary), summary)
    assert [row[2].main for row in table.rows] == cells


def test_points_of_sgfas_parts_follow_from_its_accuracies(tmp_path):
    contrasts = [
        ("none", "sgfa_ca", "+CA", "against plain"),
        ("none", "sgu", "+SGU", "against plain"),
        ("scpa", "sgfa", "SGU", "left out one at a time"),
    ]
    gains = dict.fromkeys(("none", "sgfa_ca", "scpa", "sgu", "sgfa"), 0.0)
    planned = summary_of(tmp_path, gains=gains, design=ablation(*contrasts))
    summary = beside(SGFA, like(planned, "convnext_tiny"))
    assert [points_cell(summary, test).main for test in summary.comparisons] == ["+0.11", "–", "+1.17"]


def test_whole_networks_are_set_against_the_table_of_networks(tmp_path):
    gains = {"resnet50": 0.0, "torchvision/shufflenet_v2_x1_0": 0.01, "convnext_tiny_sgfa": 0.02}
    design = {"kind": "networks", "subject": None, "contrasts": []}
    summary = beside(SGFA, like(summary_of(tmp_path, gains=gains, design=design), "3 networks"))
    assert set(summary.against.rows) == {"resnet50", "torchvision/shufflenet_v2_x1_0"}
    table = article_table(summary)
    assert [column.title for column in table.columns][1:] == [
        *("Accuracy, % (theirs)", "Loss (theirs)", "Precision, % (theirs)", "Recall, % (theirs)"),
        *("F1, % (theirs)", "Parameters (theirs)"),
    ]
    assert [cell.main for cell in table.rows[0]] == [
        *("resnet50", "82.31", "0.569", "82.33", "82.27", "82.29", "23.5 M")
    ]


def test_an_article_without_a_figure_for_any_row_says_so(tmp_path):
    gains = {"se": 0.0, "eca": 0.0}
    summary = beside(SGFA, like(summary_of(tmp_path, gains=gains), "cifar_resnet18"))
    assert conditions(summary) == [
        "Haq et al., IJRASET 13 VII (July 2025) prints no figure for any row of this study."
    ]
    assert claims(summary) == []


@pytest.mark.parametrize(
    ("interval", "p", "said"),
    [
        (
            [-0.015, 0.007],
            0.367,
            "lie above this study's 95 % interval (−1.50 to 0.70): so large a gain does",
        ),
        ([0.025, 0.031], 0.001, "lie below this study's 95 % interval (2.50 to 3.10): what was seen here is"),
        ([0.010, 0.030], 0.010, "lie inside of this study's 95 % interval (1.00 to 3.00), and a gain was"),
        (
            [-0.010, 0.030],
            0.4,
            "not refuted here, and no gain was shown either (seen +1.00, adjusted p = 0.400)",
        ),
        ([0.023, 0.030], 0.0004, "and a gain was shown (seen +2.65, adjusted p < 0.001)."),
        (None, None, "can neither be shown nor refuted here"),
    ],
)
def test_a_claim_is_held_against_our_interval(claimed, interval, p, said):
    difference = sum(interval) / 2 if interval else 0.0
    (test,) = claimed.comparisons
    test = replace(
        test,
        test=replace(test.test, ci95=interval, difference=difference),
        p_adjusted=p,
        outcome=outcome(difference, p),
    )
    (sentence,) = claims(replace(claimed, comparisons=(test,)))
    assert sentence.startswith("dmsca: the article's +2.3 points")
    assert said in sentence


def test_the_price_of_a_row_is_named(claimed):
    assert conditions(claimed)[-1] == (
        "Printed price of dmsca (ResNet-50 at 224×224 with 1000 classes, latency on an RTX 3090): parameters "
        "+11.34 %, multiply-adds +2.43 % and latency +10.84 %."
    )
    without = replace(claimed.against, rows={"none": claimed.against.row("none")})
    assert len(conditions(replace(claimed, against=without))) == len(conditions(claimed)) - 1


def test_the_column_stands_in_a_report_that_asks_for_it_alone(tmp_path):
    folder = write_study(tmp_path, epochs=1, seeds=2, classes=["a", "b"], gains={"none": 0, "ca": 0.01})
    summary = build_report(folder, DMSCA)
    assert '<h2 id="article">Article (theirs)</h2>' in summary.report.read_text(encoding="utf-8")
    table = with_article(results_table(summary), summary)
    assert table.columns[2].title == "Article (theirs), %"
    assert table.rows[0][2] == ("94.2 ± 0.1", "")
    assert table.rows[1][2] == ("95.2", "gain +1")
    assert "theirs" in (folder / "report" / "results.md").read_text(encoding="utf-8")
    summary = build_report(folder)
    page = summary.report.read_text(encoding="utf-8")
    assert "theirs" not in page + (folder / "report" / "results.md").read_text(encoding="utf-8")
