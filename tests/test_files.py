import json
import os
from pathlib import Path

import pytest

from foveate.errors import DiskError
from foveate.files import write_csv, write_json, write_text, write_whole


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"
    with write_whole(path) as file:
        file.write(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert os.listdir(path.parent) == ["record.json"]


def test_an_old_file_survives_a_write_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"kept": True})
    with pytest.raises(KeyError), write_whole(path) as file:
        file.write(b"half")
        raise KeyError
    assert os.listdir(tmp_path) == ["record.json"]
    assert json.loads(path.read_text()) == {"kept": True}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_and_the_old_file_kept(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"kept": True})
    (tmp_path / f"record.json.{os.getpid()}.part").symlink_to("/dev/full")
    with pytest.raises(DiskError, match=r"cannot write .*record\.json: No space left.*free some space"):
        write_json(path, {"kept": False})
    assert json.loads(path.read_text()) == {"kept": True}
    assert os.listdir(tmp_path) == ["record.json"]


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "record.json", {"loss": float("nan")})
    assert not (tmp_path / "record.json").exists()


def test_csv_has_a_header_and_empty_cells_for_none(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", ({"a": value, "b, c": None} for value in (1, 2.5)))
    assert (tmp_path / "x.csv").read_text() == 'a,"b, c"\n1,\n2.5,\n'
    write_csv(tmp_path / "x.csv", [])
    assert (tmp_path / "x.csv").read_text() == ""


def test_a_name_is_no_formula_in_a_spreadsheet_and_a_number_stays_one(tmp_path: Path) -> None:
    names = ["=1+1", "+a", "-a", "@a", "\ta", "a=b"]
    rows: list[dict[str, object]] = [{"name": name, "number": -4.46} for name in names]
    write_csv(tmp_path / "x.csv", [*rows, {"name": "-4.46", "number": "+1e3"}])
    assert (tmp_path / "x.csv").read_text().splitlines() == [
        "name,number",
        *(f"'{name},-4.46" for name in names[:-1]),
        "a=b,-4.46",
        "-4.46,+1e3",
    ]


def test_what_is_no_unicode_is_written_out(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", "caf\udce9")
    assert (tmp_path / "a.md").read_text() == "caf\\udce9"
    write_json(tmp_path / "a.json", {"file": "caf\udce9"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"file": "caf\udce9"}
