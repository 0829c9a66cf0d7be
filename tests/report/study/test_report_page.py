import json
import re

import pytest
from browser import CHROMIUM, Outline, open_page
from synthetic_study import edit_json, write_study

from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.report.study.summarise import summarise


def test_names_of_classes_stay_text(hostile_report):
    page = (hostile_report / "report" / "index.html").read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.tags.count("script") == 3
    assert all(address.startswith("data:image/svg+xml;base64,") for address in outline.fetched)
    assert "alert(1)</script>" not in page
    assert "<img src=x>" not in page


def test_a_hostile_mechanism_and_error_stay_text(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "<b>se</b>": 0.01}, seeds=2)
    study = json.loads((folder / "study.json").read_text())
    study["data"]["notes"] = ["<i>note</i>"]
    (folder / "study.json").write_text(json.dumps(study))
    page = build_report(folder).report.read_text(encoding="utf-8")
    assert "<b>se" not in page
    assert "<i>note" not in page
    assert "<b>se</b>" in Outline(page).text


def test_tells_everything_in_order(hostile_report):
    page = (hostile_report / "report" / "index.html").read_text(encoding="utf-8")
    heads = re.findall(r"<h2 id[^>]*>([^<]+)</h2>", page)
    assert heads == [
        *("Verdict", "Results", "Accuracy against cost", "Differences to the baseline", "Training"),
        *("When does it start to pay?", "Tests", "Classes", "Speed of training", "Data", "How it was made"),
    ]
    text = Outline(page).text.replace("\N{NO-BREAK SPACE}", " ")
    summary = summarise(read_study(hostile_report))
    assert summary.study.environment.processor in text
    for said in (*summary.verdict, *summary.missing, summary.study.command, *summary.study.recipe):
        assert said in text
    assert f"over {summary.anova.mechanisms} mechanisms and {summary.anova.n} seeds" in text


def test_how_the_cost_was_measured_is_keys_and_values(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2)
    conditions = {"backbone": "cifar_resnet20", "input": [1, 1, 8, 8], "classes": 10, "device": "cpu"}
    timing = {"reference": "none", "rounds": 40, "cpu_share": 0.97}
    edit_json(folder / "cost.json", conditions=conditions | {"path": "auto"}, timing=timing)
    page = build_report(folder).report.read_text(encoding="utf-8").partition("How the cost was measured")[2]
    found = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert found == {
        "device": "–",
        "images in a pass": "1",
        "size of the input, images × channels × height × width": "1 × 1 × 8 × 8",
        "classes": "10",
        "kernel path of the mechanisms": "auto",
        "ratios of latencies are to": "baseline",
        "rounds, in each of which all networks take turns": "40",
        "share of the time in which a core worked for it": "97.0 %",
        "what speaks against the latencies": "nothing that was found",
    }


def test_percentages_of_latency_are_explained_beside_p50s(tmp_path):
    folder = write_study(tmp_path, gains={"none": 0.0, "se": 0.01}, seeds=2)
    cost = json.loads((folder / "cost.json").read_text())
    cost["rows"]["se"]["latency_ratio"] = 1.5
    edit_json(folder / "cost.json", rows=cost["rows"])
    text = Outline(build_report(folder).report.read_text(encoding="utf-8")).text
    said = text.replace("\N{NO-BREAK SPACE}", " ")
    assert "se: +50.0 % by the ratios, +17.5 % by the p50s." in said


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": 1},
        {"gains": {"none": 0.0}, "seeds": 2},
        {"gains": {"se": 0.0, "cbam": 0.01}, "seeds": 2},
        {"noise": 0.0, "seeds": 2},
    ],
    ids=["one seed", "baseline alone", "no baseline", "equal over seeds"],
)
def test_poor_studies_have_a_page_too(tmp_path, options):
    page = build_report(write_study(tmp_path, **options)).report.read_text(encoding="utf-8")
    text = Outline(page).text
    assert "Verdict" in text
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", text)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
@pytest.mark.parametrize(("scheme", "paper"), [(1, "#ffffff"), (0, "#15181c")], ids=["light", "dark"])
def test_opens_offline_in_a_browser_with_its_charts_drawn(hostile_report, tmp_path, scheme, paper):
    page = hostile_report / "report" / "index.html"
    requests = tmp_path / "requests.json"
    browser = open_page(
        page,
        tmp_path / "profile",
        f"--log-net-log={requests}",
        f"--blink-settings=preferredColorScheme={scheme}",
    )
    assert "CONSOLE" not in browser.stderr
    drawn = re.findall(r'<svg[^>]*class="marks"[^>]*>', browser.stdout)
    assert len(drawn) == 17
    assert browser.stdout.count(f'fill="{paper}"') >= 16
    # What the browser asks for itself has no origin; all else is asked for by a page.
    events = json.loads(requests.read_text(encoding="utf-8"))["events"]
    asked = [event["params"] for event in events if "initiator" in event.get("params", {})]
    assert [request for request in asked if request["initiator"] != "not an origin"] == []
