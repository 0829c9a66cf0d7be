import json
from pathlib import Path

import pytest
from synthetic_study import edit_json, write_study

from foveate.attention import list_attention
from foveate.errors import RequestError
from foveate.records.study import read_records
from foveate.report.study.articles import article_names, find_article, printed_beside
from foveate.report.study.build import build_report
from foveate.report.study.claims import article_table, claims, conditions, points_cell
from foveate.report.study.summary import summarise
from foveate.training.recipe import read_recipe

DMSCA, SGFA = "dmsca-article", "sgfa-article"
CIFAR = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4, "schedule": "cosine"}
CIFAR |= {"batch_size": 64, "epochs": 200}


def study_of(folder, backbone, data, *, classes=10, recipe=None, train_fraction=1.0, design=None, **options):
    """A synthetic study under other names: what an article is chosen by."""
    folder = write_study(folder, epochs=1, classes=[str(number) for number in range(classes)], **options)
    study = json.loads((folder / "study.json").read_text())
    changes = {"backbone": backbone, "recipe": recipe or CIFAR}
    changes["data"] = study["data"] | {"name": data, "train_fraction": train_fraction}
    changes["data"]["image_size"] = 224 if data == "imagenet" else 32
    edit_json(folder / "study.json", **changes, **({"design": design} if design else {}))
    return folder


def summary_of(*arguments, **options):
    return summarise(read_records(study_of(*arguments, **options)))


def beside(article, *arguments, **options):
    summary = summary_of(*arguments, **options)
    return summary | {"against": printed_beside(article, summary)}


def ablation(*contrasts):
    return {
        "kind": "ablate",
        "subject": "x",
        "contrasts": [
            dict(zip("ab", c[:2], strict=True)) | {"title": c[2], "group": c[3]} for c in contrasts
        ],
    }


def test_accuracies_are_those_printed():
    settings = {(s["network"], s["data"]): s["rows"] for s in find_article(DMSCA)["settings"]}
    assert settings["ResNet-18", "CIFAR-10"]["none"] == {"accuracy": 94.2, "std": 0.1}
    assert [settings["ResNet-18", "CIFAR-100"][name]["accuracy"] for name in ("se", "cbam", "eca", "ca")] == [
        *(76.1, 76.5, 76.3, 76.7)
    ]
    assert settings["ResNet-34", "ImageNet"]["cbam"] == {"accuracy": 74.25}
    assert settings["ResNet-50", "ImageNet"] == {"dmsca": {"gain": 1.52}}
    table_1 = find_article(SGFA)["settings"][0]["rows"]
    assert {label: (row["accuracy"], row["macs"]) for label, row in table_1.items()} == {
        "none": (88.50, 0.091),
        "sgfa_ca": (88.61, 0.091),
        "scpa": (89.71, 0.094),
        "sgfa": (90.88, 0.109),
    }
    assert find_article(SGFA)["settings"][1]["rows"]["efficientvit_m4"] == {
        **{"loss": 0.3413, "accuracy": 88.25, "precision": 88.23, "recall": 88.25, "f1": 88.20},
        "parameters": 7.5,
    }


@pytest.mark.parametrize("article", article_names())
def test_printed_gains_agree_with_printed_accuracies(article):
    for setting in find_article(article)["settings"]:
        for row in setting["rows"].values():
            if {"gain", "accuracy"} <= row.keys():
                assert row["gain"] == pytest.approx(row["accuracy"] - setting["rows"]["none"]["accuracy"])


@pytest.mark.parametrize("article", article_names())
def test_rows_are_labels_that_studies_have(article):
    for setting in find_article(article)["settings"]:
        if setting.get("kind") != "networks":
            assert set(setting["rows"]) <= {"none", *list_attention()}


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
def test_the_nearest_setting_is_taken(tmp_path, backbone, data, classes, setting):
    against = beside(DMSCA, tmp_path, backbone, data, classes=classes, seeds=1)["against"]
    assert against["setting"].startswith(setting)


def test_what_differs_is_said_in_words(tmp_path):
    same = beside(DMSCA, tmp_path / "same", "cifar_resnet18", "cifar10", seeds=1)
    assert same["against"]["differs"] == []
    assert "that is this study's setting" in conditions(same)[0]
    recipe = CIFAR | {"epochs": 30, "batch_size": 512, "augmentation": ["crop", "flip", "erase"]}
    other = beside(
        DMSCA, tmp_path / "other", "cifar_resnet20", "cifar10", recipe=recipe, train_fraction=0.1, seeds=1
    )
    assert other["against"]["differs"] == [
        "cifar_resnet20 instead of ResNet-18",
        "10 % of the training part instead of all of it",
        "augmentation crop+flip+erase instead of crop+flip",
        "batch size 512 instead of 64",
        "epochs 30 instead of 200",
    ]
    assert "This study's setting is another: cifar_resnet20 instead of ResNet-18" in conditions(other)[0]
    edit_json(tmp_path / "same" / "study.json", pretrained=True)
    pretrained = summarise(read_records(tmp_path / "same"))
    assert printed_beside(DMSCA, pretrained)["differs"] == ["pretrained weights instead of random ones"]


@pytest.mark.parametrize(
    ("article", "recipe", "backbone", "data", "classes"),
    [
        (DMSCA, "dmsca_cifar", "cifar_resnet18", "cifar100", 100),
        (DMSCA, "dmsca_imagenet", "resnet50", "imagenet", 1000),
        (SGFA, "sgfa_cifar10", "convnext_tiny", "cifar10", 10),
    ],
)
def test_our_recipes_after_the_articles_are_their_settings(
    tmp_path, article, recipe, backbone, data, classes
):
    settings = read_recipe(recipe)
    summary = beside(article, tmp_path, backbone, data, classes=classes, recipe=settings, seeds=1)
    assert summary["against"]["differs"] == []
    settings |= {"optimizer": "lamb"}
    summary = beside(article, tmp_path, backbone, data, classes=classes, recipe=settings, seeds=1)
    assert [words.partition(" instead")[0] for words in summary["against"]["differs"]] == ["optimizer lamb"]


def test_a_folder_of_the_same_name_with_other_classes_is_other_data(tmp_path):
    against = beside(DMSCA, tmp_path, "cifar_resnet18", "cifar10", classes=3, seeds=1)["against"]
    assert "cifar10 of 3 classes instead of CIFAR-10" in against["differs"]


def test_theirs_stay_apart_from_ours(tmp_path):
    summary = summary_of(tmp_path, "cifar_resnet18", "cifar10", seeds=2)
    rows, tests = json.dumps(summary["rows"]), json.dumps(summary["tests"])
    against = printed_beside(DMSCA, summary)
    assert (json.dumps(summary["rows"]), json.dumps(summary["tests"])) == (rows, tests)
    assert against["rows"]["none"] == {"accuracy": 0.942, "std": 0.001}
    assert against["rows"]["se"] == {"accuracy": 0.948, "gain": 0.006}
    assert against["rows"]["dmsca"] == {"accuracy": 0.965, "gain": 0.023}


def test_points_of_parts_by_group_and_title(tmp_path):
    contrasts = [
        ("none", "GCE", "GCE", "added one at a time"),
        ("GCE", "dmsca", "TCA", "added one at a time"),
        ("GCE", "dmsca", "TCA", "left out one at a time"),
        ("none", "alone", "MSCE", "alone"),
        ("none", "dmsca", "DMSCA", "all of it"),
    ]
    gains = dict.fromkeys(("none", "GCE", "dmsca", "alone"), 0.0)
    summary = beside(
        DMSCA, tmp_path, "cifar_resnet18", "cifar10", seeds=2, gains=gains, design=ablation(*contrasts)
    )
    cells = [points_cell(summary, test).main for test in summary["tests"]]
    assert cells == ["+0.49", "+0.17", "–", "+0.73", "+1.8"]
    # The parts are CIFAR-100's, the accuracies CIFAR-10's, as the study is: both are said.
    assert summary["against"]["setting"].startswith("ResNet-18, CIFAR-10")
    assert "cifar10 instead of CIFAR-100" in conditions(summary)[1]
    assert claims(summary)[0].startswith("GCE, added one at a time: the article's +0.49 points")


def test_points_of_sgfas_parts_follow_from_its_accuracies(tmp_path):
    contrasts = [
        ("none", "sgfa_ca", "+CA", "against plain"),
        ("none", "sgu", "+SGU", "against plain"),
        ("scpa", "sgfa", "SGU", "left out one at a time"),
    ]
    gains = dict.fromkeys(("none", "sgfa_ca", "scpa", "sgu", "sgfa"), 0.0)
    summary = beside(
        SGFA, tmp_path, "convnext_tiny", "cifar10", seeds=2, gains=gains, design=ablation(*contrasts)
    )
    assert [points_cell(summary, test).main for test in summary["tests"]] == ["+0.11", "–", "+1.17"]


def test_whole_networks_are_set_against_the_table_of_networks(tmp_path):
    gains = {"resnet50": 0.0, "torchvision/shufflenet_v2_x1_0": 0.01, "convnext_tiny_sgfa": 0.02}
    design = {"kind": "networks", "subject": None, "contrasts": []}
    summary = beside(SGFA, tmp_path, "3 networks", "cifar10", seeds=2, gains=gains, design=design)
    assert set(summary["against"]["rows"]) == {"resnet50", "torchvision/shufflenet_v2_x1_0"}
    table = article_table(summary)
    assert [column.title for column in table.columns][1:] == [
        *("Accuracy, % (theirs)", "Loss (theirs)", "Precision, % (theirs)", "Recall, % (theirs)"),
        *("F1, % (theirs)", "Parameters (theirs)"),
    ]
    assert [cell.main for cell in table.rows[0]] == [
        *("resnet50", "82.31", "0.569", "82.33", "82.27", "82.29", "23.5 M")
    ]


def test_an_article_without_a_figure_for_any_row_says_so(tmp_path):
    summary = beside(SGFA, tmp_path, "cifar_resnet18", "cifar10", seeds=2, gains={"se": 0.0, "eca": 0.0})
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
def test_a_claim_is_held_against_our_interval(tmp_path, interval, p, said):
    summary = beside(DMSCA, tmp_path, "cifar_resnet18", "cifar10", seeds=2, gains={"none": 0, "dmsca": 0})
    difference = sum(interval) / 2 if interval else 0.0
    summary["tests"][0] |= {"ci95": interval, "p_adjusted": p, "difference": difference}
    (sentence,) = claims(summary)
    assert sentence.startswith("dmsca: the article's +2.3 points")
    assert said in sentence


def test_the_report_has_the_column_in_that_build_alone(tmp_path):
    folder = study_of(
        tmp_path, "cifar_resnet18", "cifar10", classes=3, seeds=2, gains={"none": 0, "ca": 0.01}
    )
    page = Path(build_report(folder, "dmsca-article")["report"]).read_text(encoding="utf-8")
    assert '<h2 id="article">Article (theirs)</h2>' in page
    assert "94.2 ± 0.1" in page
    assert "parameters +11.34" not in page  # the price of dmsca, which this study has not
    head = (folder / "report" / "results.md").read_text(encoding="utf-8").splitlines()[0]
    assert head.startswith("| Mechanism | Accuracy, % | Article (theirs), % |")
    page = Path(build_report(folder)["report"]).read_text(encoding="utf-8")
    assert "theirs" not in page + (folder / "report" / "results.md").read_text(encoding="utf-8")
