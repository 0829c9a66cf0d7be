"""What `--json` gives is what it gave, and more: golden/ holds summaries from before records were typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from golden_studies import GOLDEN

from foveate.records.study import read_study
from foveate.report.study.articles import printed_beside
from foveate.report.study.kept import summary_from_json
from foveate.report.study.summarise import summarise

FOLDER = Path(__file__).parents[1] / "golden"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """All that is neither an object nor a list, with its path, in the order in which it stands."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, item in items for leaf in leaves(item, (*path, key))] or [(path, type(value))]
    return [(path, value)]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_summary_has_the_keys_and_values_that_it_had(tmp_path, monkeypatch, name):
    write, against = GOLDEN[name]
    monkeypatch.chdir(tmp_path)
    summary = summarise(read_study(write(Path(name))))
    content = summary.to_json()
    if against:
        content["against"] = printed_beside(against, summary).to_json()
    found = dict(leaves(json.loads(json.dumps(content, allow_nan=False))))
    expected_of = dict(leaves(json.loads((FOLDER / f"{name}.json").read_text())))
    sentences = {path for path in expected_of if path[0] == "verdict"}  # whose words may change
    order = [path for path in found if path in expected_of]
    assert [path for path in order if path not in sentences] == [
        path for path in expected_of if path not in sentences
    ]
    assert found[("verdict", 0)]
    for path in order:
        value, golden = found[path], expected_of[path]
        if path in sentences:
            continue
        # Sums of floats depend on the machine in their last digit.
        expected = pytest.approx(golden, rel=1e-9) if isinstance(golden, float) else golden
        assert value == expected, path


@pytest.mark.parametrize("name", GOLDEN)
def test_a_summary_is_read_from_its_json(name):
    content = json.loads((FOLDER / f"{name}.json").read_text())
    assert json.loads(json.dumps(summary_from_json(content).to_json())) == content
