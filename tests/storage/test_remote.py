import sys
from pathlib import Path

import pytest
from fsspec.registry import _registry

from foveate.errors import DiskError, RequestError
from foveate.models.checkpoint.file_names import WEIGHTS
from foveate.storage.connect import check_writable, open_remote
from foveate.storage.lease import HeldError, take
from foveate.storage.mirror import LARGE
from foveate.storage.opening import find_mirror, is_url, local_folder, publish, shown_place, storage_of
from foveate.training.keeping import CHECKPOINT
from storage.conftest import Server
from storage.holders import Holder


def test_objects_are_read_written_created_listed_and_deleted(bucket: str) -> None:
    storage = open_remote(f"{bucket}/study")
    check_writable(storage)
    assert storage.names("") == []  # nothing is left of the trial
    assert storage.read("a/one") is None
    assert storage.entry("a/one") is None
    assert storage.create("a/one", b"first")
    assert not storage.create("a/one", b"second")
    assert storage.create("a/one", b"first")  # a request that was sent again: its own object is there
    assert storage.read("a/one") == b"first"
    (before,) = storage.entries()
    storage.write("a/one", b"other")
    storage.write("two", b"")
    one, two = storage.entries()
    assert (one.name, one.size, two.name, two.size) == ("a/one", 5, "two", 0)
    assert one == storage.entry("a/one")
    assert one.version != before.version
    assert storage.names("a") == ["one"]
    assert storage.names("") == ["two"]
    assert [entry.name for entry in storage.entries("a")] == ["a/one"]
    storage.delete("two")
    storage.delete("two")
    assert storage.names("") == []


def test_of_two_processes_one_has_the_lease_of_an_object_store(bucket: str) -> None:
    place = f"{bucket}/study"
    with Holder(place) as one, Holder(place) as two:
        for number in range(8):
            for racer in (one, two):
                racer.say(f"take runs/r{number}")
            assert sorted((one.hear(), two.hear())) == ["HeldError", "generation 1"]
        storage = open_remote(place)
        with pytest.raises(HeldError, match="is taken by process"):
            take(storage, "runs/r0")
        one.process.kill()
        two.process.kill()
        one.process.wait()
        two.process.wait()
        with take(storage, "runs/r0") as lease:
            assert lease.generation == 2
            assert storage.names("runs/r0") == [".lease-2"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("foo://bucket/study", "unknown scheme 'foo'.*Choices: .*s3"),
        ("s4://bucket/study", "unknown scheme 's4'"),
        (
            "memory://bucket/study",
            "cannot create a file only if it is absent.*where that file system is mounted",
        ),
        ("gs://bucket/study", "needs a package: pip install gcsfs"),
        ("s3://bucket", "expected a bucket and a folder in it, such as s3://bucket/study"),
        ("s3://me:secret@bucket/study", "without user, password or query: .*environment"),
        ("s3://bucket/study?key=secret", "without user, password or query"),
        ("s3://nobodys/study", "there is no such bucket"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(s3: Server, url: str, said: str) -> None:
    with pytest.raises(RequestError, match=said) as error:
        local_folder(url, writes=True)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_an_address_that_does_not_answer_is_named(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RequestError, match=r"http://127\.0\.0\.1:9 does not answer: .*AWS_ENDPOINT_URL"):
        local_folder("s3://bucket/study")


def test_whoever_has_no_credentials_is_told_how_to_give_them(
    s3: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))  # where a profile may be
    with pytest.raises(RequestError, match="no credentials were found: set AWS_PROFILE, or AWS_"):
        local_folder("s3://bucket/study")


def test_whoever_has_no_rights_is_refused(s3: Server, bucket: str) -> None:
    s3.require_rights(required=True)
    try:
        with pytest.raises(RequestError, match="have no right to list, read, write and delete there"):
            local_folder(f"{bucket}/study", writes=True)
    finally:
        s3.require_rights(required=False)


def test_a_server_that_ignores_conditions_is_refused(s3: Server, bucket: str) -> None:
    s3.ignores_conditions = True
    try:
        with pytest.raises(RequestError, match="ignores If-None-Match, so two processes could write one"):
            local_folder(f"{bucket}/study", writes=True)
        local_folder(f"{bucket}/study")  # it can be read
    finally:
        s3.ignores_conditions = False


def test_a_missing_backend_is_named(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)  # the backends that were imported before
    with pytest.raises(RequestError, match=r"needs a package: pip install 'foveate\[s3\]'"):
        local_folder(f"{bucket}/study")


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/study")
    assert not is_url("studies/digits")
    assert not is_url(r"C:\studies")
    assert local_folder("studies/digits") == Path("studies/digits")
    assert local_folder("file:///studies/my%20digits") == Path("/studies/my digits")


def test_weights_and_checkpoints_are_the_large_files() -> None:
    assert {*WEIGHTS, CHECKPOINT} == set(LARGE)


def test_a_mirror_copies_what_changed(s3: Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    far = open_remote(f"{bucket}/study")
    for name in ("study.json", "samples/1.png", "runs/a/result.json", "runs/a/model.safetensors", ".lease-4"):
        far.write(name, name.encode())
    here = local_folder(f"{bucket}/study/")
    files = {path.relative_to(here).as_posix() for path in here.rglob("*") if not path.name.startswith(".")}
    assert files - {"runs", "runs/a", "samples"} == {"study.json", "samples/1.png", "runs/a/result.json"}
    assert (here / "runs/a/result.json").read_bytes() == b"runs/a/result.json"
    assert find_mirror(here / "runs/a") == find_mirror(here)
    assert find_mirror(here.parent) is None
    assert storage_of(here / "runs/a")[1] == "runs/a"
    assert shown_place(here / "report/index.html") == f"{bucket}/study/report/index.html"
    s3.asked.clear()
    far.write("study.json", b"changed there")
    assert local_folder(f"{bucket}/study/runs/a") == here / "runs/a"
    assert [one for one in s3.asked if one.startswith("GET") and one.endswith((".json", ".png"))] == [
        f"GET /{bucket[5:]}/study/study.json"
    ]
    assert (here / "study.json").read_bytes() == b"changed there"
    (here / "study.json").write_bytes(b"changed here")
    (here / "samples/1.png").unlink()
    (here / "report").mkdir()
    (here / "report/index.html").write_text("a page")
    (here / "runs/a/log.txt").write_text("of a run, whose process copies it")
    publish(here)
    assert far.read("study.json") == b"changed here"
    assert [entry.name for entry in far.entries()] == [
        ".lease-4", "report/index.html", "runs/a/model.safetensors", "runs/a/result.json", "study.json",
    ]  # fmt: skip
    s3.asked.clear()
    publish(here)
    assert s3.asked == []
    assert local_folder(f"{bucket}/study", large=True) == here
    assert (here / "runs/a/model.safetensors").read_bytes() == b"runs/a/model.safetensors"
    far.delete("report/index.html")
    (here / "study.json").write_bytes(b"not copied yet")
    local_folder(f"{bucket}/study")
    assert not (here / "report/index.html").exists()
    assert (here / "study.json").read_bytes() == b"not copied yet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "elsewhere"))
    assert (local_folder(f"{bucket}/study") / "study.json").read_bytes() == b"changed here"


def test_a_storage_that_falls_silent_is_said_in_one_sentence(bucket: str) -> None:
    storage = open_remote(f"{bucket}/study")
    storage._root = "no-such-bucket/study"
    with pytest.raises(DiskError, match=rf"cannot use {bucket}/study/a: .*give the same command again"):
        storage.write("a", b"")
