import gc
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from driven import CHROMIUM, opened
from foveate.attention.explanations import EXPLANATIONS
from foveate.data import load_data
from foveate.errors import RequestError
from foveate.inspection.find_trained import find_trained
from foveate.look import pictures
from foveate.look.addresses import OwnAddress, own_names
from foveate.look.cards import cards, escaped, fault
from foveate.look.pictures import Picture, example_picture, read_picture
from foveate.look.serve import serve
from foveate.look.uploads import remove_forgotten
from foveate.look.viewer import OwnMap, View, Viewer

CPU = torch.device("cpu")
GREY = (1, 8, 8)
KEPT_SECONDS = 10


@pytest.fixture(scope="module")
def viewer(trained_bands: Path) -> Viewer:
    return Viewer(find_trained([str(trained_bands)]), CPU)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colour image of 40×30 pixels, its top half bright."""
    pixels = np.full((30, 40, 3), 30, np.uint8)
    pixels[:15] = (250, 220, 200)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """A PNG of some hundred bytes that says it has 30,000×30,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    return path


def test_every_mechanism_of_a_seed_says_what_it_sees(viewer: Viewer, photo: Path) -> None:
    picture = read_picture(photo, viewer.input_size)
    assert viewer.seeds == ["0", "1"]
    assert viewer.layers == ["layer1.0", "layer2.0", "layer3.0"]
    assert viewer.default == 2
    plain, se = viewer.look(picture, "1", 2)
    assert [plain.label, se.label] == ["none", "se"]
    trained = next(one for one in viewer.trained if one.label == "se" and one.seed == 1)
    with torch.inference_mode():
        logits = trained.network(CPU)(trained.normalise(picture.pixels[None].float() / 255))
    expected = logits[0].softmax(0).sort(descending=True)
    assert [name for name, _ in se.answers] == [trained.classes[int(place)] for place in expected.indices]
    assert [value for _, value in se.answers] == pytest.approx(expected.values.tolist(), abs=1e-6)
    for view in (plain, se):
        assert view.heat is not None
        assert view.heat.shape == (8, 8)
        assert 0 <= view.heat.min() <= view.heat.max() <= 1
    assert plain.own == []
    assert [(own.name, own.values.shape) for own in se.own] == [("channel", (64,))]
    assert se.own[0].site.startswith("layer3.0.")


def test_layers_and_methods_change_what_is_seen(viewer: Viewer, photo: Path) -> None:
    picture = read_picture(photo, viewer.input_size)
    first, last = (viewer.look(picture, "0", layer)[1] for layer in (0, 2))
    assert (first.layer, last.layer) == ("layer1.0", "layer3.0")
    assert first.heat is not None
    assert not np.array_equal(first.heat, last.heat)
    assert first.own[0].values.shape == (16,)
    assert first.answers == last.answers
    other = viewer.look(picture, "0", 0, "gradcam")[1]
    assert not np.array_equal(first.heat, other.heat)


def test_what_cannot_be_looked_at_is_refused(viewer: Viewer, photo: Path) -> None:
    picture = read_picture(photo, viewer.input_size)
    for seed, layer, method, said in (
        ("7", 0, "gradcam", "no seed '7': choose among 0, 1"),
        ("0", 3, "gradcam", "no layer 4: choose from 1 to 3"),
        ("0", 0, "guess", "no method 'guess'"),
    ):
        with pytest.raises(RequestError, match=said):
            viewer.look(picture, seed, layer, method)
    with pytest.raises(RequestError, match="no trained network"):
        Viewer([], CPU)


def test_a_network_without_a_heat_map_still_answers(viewer: Viewer, photo: Path) -> None:
    tiny = Viewer([replace(one, input_size=(1, 2, 2)) for one in viewer.trained], CPU)
    view = tiny.look(read_picture(photo, (1, 2, 2)), "0", 2)[0]
    assert view.heat is None
    assert "1×1" in view.fault
    assert len(view.answers) == 3
    assert "1×1" in cards(read_picture(photo, (1, 2, 2)), [view], "0")


def test_an_upload_is_the_middle_square_for_networks_and_finer_for_people(photo: Path) -> None:
    picture = read_picture(photo, (3, 16, 16))
    assert picture.pixels.shape == (3, 16, 16)
    assert picture.shown.shape == (30, 30, 3)
    assert picture.pixels[:, 2, 8].tolist() == [250, 220, 200]
    assert read_picture(photo, GREY).pixels.shape == GREY


def test_an_image_of_one_pixel_is_one(tmp_path: Path, viewer: Viewer) -> None:
    Image.new("RGB", (1, 1), (200, 10, 10)).save(tmp_path / "dot.png")
    picture = read_picture(tmp_path / "dot.png", GREY)
    assert picture.pixels.unique().numel() == 1
    assert len(viewer.look(picture, "0", 2)) == 2


def test_a_long_strip_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (40_000, 1), 90).save(tmp_path / "strip.png")
    sizes = []
    whole = Image.Image.resize

    def resize(image: Image.Image, size: tuple[int, int], *rest: object) -> Image.Image:
        sizes.append(size)
        return whole(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", resize)
    assert read_picture(tmp_path / "strip.png", GREY).pixels.shape == GREY
    assert max(width * height for width, height in sizes) <= 64


def test_bombs_are_refused_before_they_are_decoded(bomb: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "decode", lambda path: pytest.fail("it was decoded"))
    with pytest.raises(RequestError, match=r"bomb\.png cannot be shown: .*pixels"):
        read_picture(bomb, GREY)
    assert bomb.stat().st_size < 1000
    # Below what Pillow itself would refuse.
    content = bytearray(bomb.read_bytes())
    content[16:24] = struct.pack(">II", 8_000, 6_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    bomb.write_bytes(content)
    with pytest.raises(RequestError, match="8,000×6,000 pixels; expected at most 40 million"):
        read_picture(bomb, GREY)


def test_what_is_no_image_is_refused_by_name(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, said in ((b"", "it is empty"), (b"hello", "not an image"), (photo.read_bytes()[:90], "")):
        (tmp_path / "odd.png").write_bytes(content)
        with pytest.raises(RequestError, match=rf"odd\.png cannot be shown: .*{said}"):
            read_picture(tmp_path / "odd.png", GREY)
    monkeypatch.setattr(pictures, "MOST_BYTES", 20)
    with pytest.raises(RequestError, match="smaller file"):
        read_picture(photo, GREY)


def test_examples_go_from_class_to_class(bands: Path) -> None:
    data = load_data(str(bands))
    found = [example_picture(data, number) for number in range(19)]
    assert [picture.truth for picture in found[:4]] == ["high", "low", "middle", "high"]
    assert len({picture.name for picture in found}) == 18
    assert found[18].name == found[0].name
    assert found[0].pixels.shape == GREY
    assert found[0].shown.shape == (8, 8, 3)


def test_whatever_is_said_stays_text() -> None:
    hostile = "<script>${alert(1)}</script>{{value}}'\"`"
    pixels = np.zeros((4, 4, 3), np.uint8)
    own = [
        OwnMap(hostile, hostile, np.zeros((2, 2), np.float32)),
        OwnMap(hostile, hostile, np.ones(3, np.float32)),
        OwnMap(hostile, hostile, np.float32(0.5).reshape(())),
    ]
    view = View(hostile, [(hostile, 0.5)], hostile, None, own, hostile)
    heat = View(hostile, [(hostile, 0.5)], hostile, np.zeros((2, 2), np.float32), [])
    page = cards(Picture(hostile, torch.zeros(3, 4, 4), pixels, hostile), [view, heat], hostile)
    for text in (page, fault(hostile)):
        assert escaped(hostile) in text
        for mark in ("<script", "${", "{{", "`"):
            assert mark not in text


def test_answers_are_marked_where_the_class_is_known() -> None:
    view = View("none", [("cat", 0.9), ("dog", 0.1)], "layer", None, [])
    pixels = np.zeros((4, 4, 3), np.uint8)
    for truth, mark in (("cat", "fv-right"), ("dog", "fv-wrong")):
        assert mark in cards(Picture("x", torch.zeros(3, 4, 4), pixels, truth), [view], "0")
    assert "fv-right" not in cards(Picture("x", torch.zeros(3, 4, 4), pixels), [view], "0")


def drawn(own: OwnMap) -> str:
    """The page's figure of one intermediate."""
    picture = Picture("x", torch.zeros(3, 4, 4), np.zeros((4, 4, 3), np.uint8))
    page = cards(picture, [View("se", [], "layer", None, [own])], "0")
    return page.partition("<div class=fv-own>")[2].partition("</figure>")[0]


def test_a_map_that_hardly_varies_is_words_and_no_picture() -> None:
    noise = np.float32([[0.4985, 0.5015], [0.5, 0.5]])
    for values in (noise, noise[0]):
        figure = drawn(OwnMap("layer.0", "gate", values))
        assert "<div class='fv-number'>0.5 everywhere</div>" in figure
        assert "0.498 to 0.502" in figure
        assert "<img" not in figure
        assert "fv-bars" not in figure
    assert "<img" in drawn(OwnMap("layer.0", "gate", 2 * noise + np.float32([[0.1, 0], [0, 0]])))


def test_bars_stand_on_a_scale_from_0_to_1() -> None:
    figure = drawn(OwnMap("layer.0", "channel", np.float32([0.4, 0.6])))
    assert re.findall(r"height:(\d+)%", figure) == ["40", "60"]


def test_every_name_is_explained_in_a_tooltip_and_below(viewer: Viewer, photo: Path) -> None:
    picture = read_picture(photo, viewer.input_size)
    page = cards(picture, [viewer.look(picture, "0", 2)[1]], "0")
    (tip,) = re.findall(r"<figure title='([^']*)'>", page)
    assert tip.startswith(f"{EXPLANATIONS['se']['channel']} At layer3.0.")
    assert f"<dt>channel</dt><dd>{EXPLANATIONS['se']['channel']}</dd>" in page


def test_a_flat_heat_map_is_said_to_be_one() -> None:
    view = View("none", [], "layer", np.zeros((2, 2), np.float32), [])
    page = cards(Picture("x", torch.zeros(3, 4, 4), np.zeros((4, 4, 3), np.uint8)), [view], "0")
    assert "The heat map is flat" in page
    assert "fv-heat" not in page


def test_serving_refuses_what_cannot_be(
    trained_bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match="--port must be"):
        serve(trained_bands, "127.0.0.1", 70_000, device="cpu")
    with pytest.raises(RequestError, match="unknown device"):
        serve(trained_bands, "127.0.0.1", 0, device="tpu")
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(RequestError, match=r"pip install 'foveate\[look\]'"):
        serve(trained_bands, "127.0.0.1", 0, device="cpu")


class Served(NamedTuple):
    """The address of a page that is served, and the folder of what it keeps meanwhile."""

    address: str
    temporary: Path

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """The status and the content that a request is answered with; `Content_Type` is that header."""
        request = urllib.request.Request(f"{self.address}{path}", data=body)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def upload(self, content: bytes, **headers: str) -> tuple[int, bytes]:
        """Upload `content` as x.png."""
        edge = "edge"
        body = (
            f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        ).encode()
        body += content + f"\r\n--{edge}--\r\n".encode()
        kind = f"multipart/form-data; boundary={edge}"
        return self.ask("gradio_api/upload", body, Content_Type=kind, **headers)

    def kept(self) -> list[Path]:
        """The uploads that are there."""
        return [file for file in self.temporary.rglob("*.png") if file.is_file()]


@pytest.fixture(scope="module")
def served(trained_bands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The page of a copy of the study with a hostile name, in a process of its own, ended at the end."""
    folder = tmp_path_factory.mktemp("served")
    study, temporary = folder / "${7*6}<b>study", folder / "temporary"
    shutil.copytree(trained_bands, study)
    temporary.mkdir()
    code = (
        "import sys; from foveate.look import serve, uploads; "
        f"uploads.KEPT_SECONDS = {KEPT_SECONDS}; serve(sys.argv[1], '127.0.0.1', 0, device='auto')"
    )
    server = subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert server.stdout is not None
    try:
        said = []
        while not (line := server.stdout.readline()).startswith("http://"):
            assert line, f"the server has ended: {said}"
            said.append(line)
        assert any(temporary.iterdir())
        yield Served(line.split()[0], temporary)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            assert server.wait(timeout=30) == 0
        finally:
            server.kill()
            server.stdout.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_person_drops_an_image_and_sees_where_all_look(
    served: Served, photo: Path, bomb: Path, tmp_path: Path
) -> None:
    assert served.address.startswith("http://127.0.0.1:")
    with opened(served.address, tmp_path / "profile") as page:
        page.wait_for("document.querySelector('#fv-upload input[type=file]') !== null")
        assert "${7*6}<b>study" in page.ask("document.querySelector('.fv-title').innerText")

        page.give_file("#fv-upload input[type=file]", photo)
        page.wait_for("document.querySelectorAll('.fv-heat').length === 2")
        heads = page.ask("[...document.querySelectorAll('.fv-card figcaption')].map(e => e.innerText)")
        assert heads == ["image", "baseline", "se"]
        assert "photo.png" in page.ask("document.querySelector('#fv-result').innerText")
        assert page.ask("document.querySelectorAll('.fv-answers li').length") == 6
        assert page.ask("document.querySelectorAll('.fv-bars i').length") == 64
        assert page.ask(
            "[...document.querySelectorAll('.fv-card img')].every(i => i.complete && i.naturalWidth > 0)"
        )
        drawn = page.ask("document.querySelector('.fv-heat').src")

        slide = """(id, value) => {
            const range = document.querySelector(`#${id} input[type=range]`);
            range.value = value;
            for (const what of ['input', 'change', 'pointerup'])
                range.dispatchEvent(new Event(what, {bubbles: true}));
        }"""
        page.ask(f"({slide})('fv-opacity', 0.25)")
        page.wait_for("getComputedStyle(document.querySelector('.fv-heat')).opacity === '0.25'")
        page.ask(f"({slide})('fv-layer', 1)")
        page.wait_for("document.querySelector('.fv-head').innerText.includes('layer1.0')")
        assert page.ask("document.querySelector('.fv-heat').src") != drawn
        assert page.ask("getComputedStyle(document.querySelector('.fv-heat')).opacity") == "0.25"

        page.give_file("#fv-upload input[type=file]", bomb)
        said = page.wait_for("document.querySelector('.fv-fault')?.innerText")
        assert said.startswith("bomb.png cannot be shown:")
        assert "pixels" in said

        page.ask("document.querySelector('#fv-example').click()")
        page.wait_for("document.querySelector('.fv-truth')?.innerText === 'high'")
        assert page.ask("document.querySelectorAll('.fv-right, .fv-wrong').length") == 2

        others = {url for url in page.requests if not url.startswith((served.address, "data:", "blob:"))}
        assert others == set()
        assert page.complaints == []
        fonts = page.ask("getComputedStyle(document.querySelector('.fv-title')).fontFamily")
        assert "system-ui" in fonts


@pytest.mark.slow
def test_uploads_are_bounded_and_nothing_else_is_handed_out(served: Served) -> None:
    assert served.upload(bytes(1000))[0] == 200
    assert served.upload(bytes(pictures.MOST_BYTES + 1000))[0] == 413
    assert served.ask("gradio_api/file=/etc/passwd")[0] in (403, 404)
    status, content = served.ask("config")
    assert status == 200
    config = json.loads(content)
    assert config["analytics_enabled"] is False
    assert config.get("run_history", False) is False


@pytest.mark.slow
def test_a_foreign_page_is_answered_by_nothing(served: Served) -> None:
    """As after DNS rebinding: the request comes in at 127.0.0.1, under the name of a foreign page."""
    port = served.address.rstrip("/").rpartition(":")[2]
    before = served.kept()
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{int(port) - 1}", ""):
        for path in ("", "config", "gradio_api/info"):
            status, said = served.ask(path, Host=host)
            assert status == 403
            assert b"gradio" not in said
        assert served.upload(b"image", Host=host)[0] == 403
    for origin in ("http://evil.example", f"http://evil.example:{port}", "null", "http://127.0.0.1:1"):
        assert served.upload(b"image", Origin=origin)[0] == 403
        assert served.ask("gradio_api/queue/join", b"{}", Origin=origin)[0] == 403
    assert served.kept() == before
    own = f"localhost:{port}"
    assert served.ask("config", Host=own)[0] == 200
    assert served.upload(b"image", Host=own, Origin=f"http://{own}")[0] == 200


@pytest.mark.slow
def test_an_upload_of_a_refused_request_is_removed(served: Served, photo: Path) -> None:
    """The page itself is never asked: there is no such seed, which Gradio sees first."""
    status, answer = served.upload(photo.read_bytes())
    assert status == 200
    (path,) = json.loads(answer)
    assert Path(path) in served.kept()
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = json.dumps({"data": [file, "no such seed", 1, "gradcam"]}).encode()
    assert served.ask("gradio_api/call/upload", asked, Content_Type="application/json")[0] == 200
    end = time.monotonic() + 6 * KEPT_SECONDS
    while served.kept() and time.monotonic() < end:
        time.sleep(0.5)
    assert served.kept() == []
    assert served.ask("config")[0] == 200


def test_forgotten_uploads_are_removed_and_the_rest_is_not(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "kept.js").touch()
    own = frozenset(tmp_path.rglob("*"))
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").touch()
    for path in (tmp_path / "own" / "kept.js", tmp_path / "old" / "x.png", tmp_path / "old"):
        os.utime(path, (0, 0))
    remove_forgotten(tmp_path, own, 60)
    os.utime(tmp_path / "old", (0, 0))
    remove_forgotten(tmp_path, own, 60)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left == {"own", "own/kept.js", "new", "new/x.png"}
    with pytest.raises(RequestError, match=r"x\.png has waited too long and was removed: give it again"):
        read_picture(tmp_path / "old" / "x.png", GREY)


@pytest.mark.parametrize(
    ("host", "asked", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:7860", True),
        ("127.0.0.1", "LOCALHOST:7860", True),
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "192.168.0.5:7860", False),
        ("127.0.0.1", "foreign.example:7860", False),
        ("127.0.0.1", "127.0.0.1.foreign.example:7860", False),
        ("0.0.0.0", "192.168.0.5:7860", True),
        ("0.0.0.0", f"{socket.gethostname()}:7860", True),
        ("0.0.0.0", "foreign.example:7860", False),
        ("box.example", "box.example:7860", True),
    ],
)
def test_a_page_knows_its_own_names(host: str, asked: str, allowed: bool) -> None:
    guard = OwnAddress(None, own_names(host), 7860)
    head = [(b"host", asked.encode())]
    assert guard.allows(head) is allowed
    assert guard.allows([*head, (b"origin", f"http://{asked}".encode())]) is allowed
    assert not guard.allows([*head, (b"origin", b"http://foreign.example:7860")])
    assert not guard.allows([])
    assert not guard.allows([*head, *head])
    assert OwnAddress(None, own_names(host), 80).allows([(b"host", asked[:-5].encode())]) is allowed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_address_that_is_taken_is_refused(
    trained_bands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio leaves sockets open when it tries addresses; they are collected here, under the filter."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=rf"127\.0\.0\.1:{port} is not available"):
            serve(trained_bands, "127.0.0.1", port, device="auto")
    assert list(tmp_path.iterdir()) == []
    gc.collect()
