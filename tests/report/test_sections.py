import json
import re
from pathlib import Path

import pytest
from browser import CHROMIUM, open_page
from PIL import Image
from synthetic_study import write_study

from foveate.errors import RequestError
from foveate.report.build import build_examination, build_report
from foveate.report.sections import find_sections, read_examined

HOSTILE = "</script><img src=x onerror=alert(1)>"
SCORES = ("accuracy", "loss", "precision", "recall", "f1", "ece")


def probe_row(label: str, seed: int, accuracy: float) -> dict:
    key = {"way": "probe", "label": label, "seed": seed, "backbone": "resnet18", "network": f"{label}{seed}"}
    per_class = [{"class": name, "accuracy": accuracy} for name in ("ant", HOSTILE)]
    scores = dict.fromkeys(SCORES, accuracy)
    return {"key": key, **scores, "per_class": per_class, "chance": 0.5, "images": 40}


def write_record(folder: Path, **changes: object) -> Path:
    rows = [
        probe_row(label, seed, gain + seed / 100)
        for seed in (0, 1, 2)
        for label, gain in (("none", 0.7), ("se", 0.8))
    ]
    record = {
        **{"format": 1, "foveate": "0.1.0", "kind": "transfer-insects", "command": "foveate transfer …"},
        "environment": {"torch": "2.15"},
        "settings": {"to": "insects"},
        "data": {"name": "insects", "classes": ["ant", HOSTILE]},
        "networks": [{"name": row["key"]["network"], "label": row["key"]["label"]} for row in rows],
        **{"left_out": ["one image is broken."], "warnings": ["the images were enlarged."]},
        **{"rows": rows, "kept": []},
    }
    path = folder / "transfer-insects.json"
    path.write_text(json.dumps(record | changes))
    return path


def test_a_section_says_what_was_left_out_and_warned_of(tmp_path):
    (section,) = find_sections(write_record(tmp_path).parent)
    assert section.sentences[-2:] == ["the images were enlarged.", "Left out: one image is broken."]


def test_a_record_without_rows_has_no_section(tmp_path):
    write_record(tmp_path, rows=[])
    assert find_sections(tmp_path) == []


def test_what_is_no_record_is_named(tmp_path):
    path = write_record(tmp_path, kind="diary")
    with pytest.raises(RequestError, match=r"is no record of an examination: its kind is 'diary'"):
        read_examined(path)
    with pytest.raises(RequestError, match="reads format 1"):
        read_examined(write_record(tmp_path, format=2))


def test_a_study_has_the_section_its_tables_and_its_numbers(tmp_path):
    folder = write_study(tmp_path)
    write_record(folder)
    build_report(folder)
    report = folder / "report"
    page = (report / "index.html").read_text()
    assert '<h2 id="transfer-insects">Transfer to insects</h2>' in page
    assert HOSTILE not in page
    assert (report / "transfer_insects.csv").is_file()
    assert (report / "transfer_insects.md").is_file()
    assert list((report / "figures").glob("transfer_insects*.svg"))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_what_was_trained_elsewhere_has_a_page_that_opens_offline(tmp_path):
    folder = tmp_path / "examined"
    folder.mkdir()
    write_record(folder)
    page = build_examination(folder)
    browser = open_page(page, tmp_path / "profile")
    assert "CONSOLE" not in browser.stderr
    assert len(re.findall(r'<svg[^>]*class="marks"[^>]*>', browser.stdout)) == 2
    assert "Left out: one image is broken." in browser.stdout
    assert "<img src=x" not in browser.stdout


def test_pictures_are_in_the_page(tmp_path, monkeypatch):
    from foveate.report import sections

    Image.new("RGB", (3, 2)).save(tmp_path / "grid.png")
    picture = sections.Picture("Where they look", "Maps of two networks.", tmp_path / "grid.png")
    made = sections.Section("transfer", "Carried over", ["Nothing was found."], pictures=[picture])
    monkeypatch.setattr(sections, "_makers", lambda kind: (lambda record: {}, lambda record, folder: made))
    write_record(tmp_path)
    page = build_examination(tmp_path).read_text()
    assert 'alt="Maps of two networks." src="data:image/png;base64,iVBOR' in page
