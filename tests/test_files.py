import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from foveate.errors import DiskError
from foveate.files import (
    create_whole,
    part_ending,
    remove_parts,
    write_csv,
    write_json,
    write_text,
    write_whole,
)
from foveate.training.keeping import WholeCheckpointIO


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
    (tmp_path / f"record.json.{part_ending()}").symlink_to("/dev/full")
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


@pytest.mark.parametrize("room", [1_000, 1_000_000, 7_000_000])
def test_a_full_disk_is_named_where_torch_names_its_own_archive(tmp_path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "last.ckpt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(DiskError, match="cannot write .*File too large"):
            WholeCheckpointIO().save_checkpoint(
                {"a": torch.zeros(1_000_000), "b": torch.zeros(1_000_000)}, path
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == []


def test_another_error_of_the_writer_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not the disk"), write_whole(tmp_path / "x"):
        raise RuntimeError("not the disk")


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_a_device_is_written_to_and_stays_a_device(tmp_path: Path) -> None:
    write_json(Path("/dev/null"), {})
    assert not Path("/dev/null").is_file()
    link = tmp_path / "link"
    link.symlink_to("/dev/full")
    with pytest.raises(DiskError, match="No space left"):
        write_json(link, {})
    assert link.is_symlink()
    assert os.listdir(tmp_path) == ["link"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_a_fifo_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with ThreadPoolExecutor() as reader:
        read = reader.submit(path.read_bytes)
        write_json(path, {"kept": True})
        assert json.loads(read.result()) == {"kept": True}
    assert path.is_fifo()


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "record.json", tmp_path / "link.json"
    write_json(target, {})
    link.symlink_to(target)
    write_json(link, {"kept": True})
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"kept": True}
    assert os.listdir(target.parent) == ["record.json"]


def test_the_file_of_standard_output_is_appended_to(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from foveate.files import write_text; import os; os.write(1, b'first\\n')"
    )
    code += "; write_text(Path('/dev/stdout'), 'second\\n')"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "first\nsecond\n"


def test_parts_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine, stale = tmp_path / f"a.{os.getpid()}.part", tmp_path / "report" / f"a.json.{gone.pid}.part"
    stale.parent.mkdir()
    for part in (mine, stale, foreign := tmp_path / "my.part"):
        part.touch()
    remove_parts(tmp_path)
    assert mine.exists()
    assert foreign.exists()
    assert not stale.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_created_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # as on a FAT file system

        def refuse(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "folder/result.json"
    assert create_whole(path, b"first")
    assert not create_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert [one.name for one in path.parent.iterdir()] == ["result.json"]


def test_parts_in_folders_of_other_processes_are_left(tmp_path: Path) -> None:
    for name in ("a.4194305.part", "runs/a.4194305.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    remove_parts(tmp_path, besides=("runs",))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a.4194305.part"]
