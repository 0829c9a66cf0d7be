import re
from dataclasses import replace

import pytest
from browser import CHROMIUM, open_page
from PIL import Image
from synthetic_study import write_study
from synthetic_transfer import HOSTILE, write_record

from foveate.errors import RequestError
from foveate.report import sections
from foveate.report.core.section import Picture, Section
from foveate.report.examined import build_examination
from foveate.report.sections import KINDS, find_sections, read_examined
from foveate.report.study.build import build_report


def test_a_section_says_what_was_excluded_and_warned_of(tmp_path):
    (section,) = find_sections(write_record(tmp_path).parent)
    assert section.sentences[-2:] == ["the images were enlarged.", "Excluded: one image is broken."]


def test_of_much_that_was_excluded_some_is_named_and_the_rest_counted(tmp_path):
    path = write_record(tmp_path, left_out=[f"image {k} is broken." for k in range(1210)])
    said = read_examined(path).section.sentences
    assert said[-2:] == [
        "Excluded: image 9 is broken.",
        "Excluded, and named in transfer-insects.json: 1,200 more.",
    ]
    said = read_examined(write_record(tmp_path, left_out=["one"] * 10)).section.sentences
    assert said[-1] == "Excluded: one"


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


def test_a_record_cannot_have_files_written_elsewhere(tmp_path):
    (tmp_path / "study").mkdir()
    write_record(tmp_path / "study", kind="transfer-/../../../escaped")
    with pytest.raises(RequestError, match=r"names a file '.*escaped.*' with folders in it"):
        build_examination(tmp_path / "study")
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_what_was_trained_elsewhere_has_a_page_that_opens_offline(tmp_path):
    folder = tmp_path / "examined"
    folder.mkdir()
    write_record(folder)
    page = build_examination(folder)
    browser = open_page(page, tmp_path / "profile")
    assert "CONSOLE" not in browser.stderr
    assert len(re.findall(r'<svg[^>]*class="marks"[^>]*>', browser.stdout)) == 2
    assert "Excluded: one image is broken." in browser.stdout
    assert "<img src=x" not in browser.stdout


def test_pictures_are_in_the_page(tmp_path, monkeypatch):
    Image.new("RGB", (3, 2)).save(tmp_path / "grid.png")
    picture = Picture("Where they look", "Maps of two networks.", tmp_path / "grid.png")
    made = Section("transfer", "Transfer", ["Nothing was found."], pictures=[picture])
    kinds = [replace(kind, make=lambda record, folder: made) for kind in KINDS]
    monkeypatch.setattr(sections, "KINDS", kinds)
    write_record(tmp_path)
    page = build_examination(tmp_path).read_text()
    assert 'alt="Maps of two networks." src="data:image/png;base64,iVBOR' in page
