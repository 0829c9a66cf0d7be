"""A person's own class as a mechanism: how it is found, loaded and built, and what is refused."""

import pickle
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import torch
from torch import nn

from custom_modules import write_mine
from foveate import create_attention, known_names, list_attention
from foveate.attention import find_custom
from foveate.attention.custom import custom_mechanism
from foveate.errors import RequestError


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mine(tmp_path_factory.mktemp("own"))


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("Mine", {}, 8 * 2 + 2 + 2 * 8 + 8),
        ("Mine", {"reduction": 2, "bias": False}, 8 * 4 * 2),
        ("Bare", {}, 0),
        ("Named", {"groups": 4}, 8 * 2 + 8),
        ("First", {}, 8 * 8 * 9 + 8),
        ("make", {"kernel_size": 3}, 8 * 8 * 9 + 8),
        ("Open", {"anything": 3}, 0),
    ],
)
def test_the_constructor_gets_the_channels(mine: Path, name: str, options: dict, parameters: int) -> None:
    module = create_attention(f"{mine}:{name}", 8, **options)
    assert sum(one.numel() for one in module.parameters()) == parameters
    assert module(torch.randn(2, 8, 5, 4)).shape == (2, 8, 5, 4)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "TwoWidths",
            {},
            r"needs oup and groups.*wrap it.*TwoWidths\(inp=channels, oup=channels, groups=…\)",
        ),
        ("TwoWidths", {"oup": 8}, r"needs groups"),
        ("Failing", {}, r"cannot be built for 8 channels: ValueError.*mine.py, line \d+: self.conv = "),
        ("NoModule", {}, "NoModule is no torch.nn.Module"),
        ("make_nothing", {}, "gives a value of type str: expected a torch.nn.Module"),
        ("NUMBER", {}, "is a value of type int: expected a class"),
        ("Mime", {}, "unknown class 'Mime'. Did you mean 'Mine'"),
    ],
)
def test_what_cannot_be_built_is_refused(mine: Path, name: str, options: dict, words: str) -> None:
    with pytest.raises(RequestError, match=f"(?s){words}"):
        create_attention(f"{mine}:{name}", 8, **options)


def test_a_class_and_options_behind_a_name_are_built(mine: Path) -> None:
    made = type(create_attention(f"{mine}:Mine(reduction=2)", 8))
    assert create_attention(f"{mine}:Mine(reduction=2)", 8).down.out_channels == 4
    assert create_attention(made, 8, reduction=8).down.out_channels == 1
    assert create_attention("se(reduction=2)", 8, reduction=4).state_dict().keys()
    with pytest.raises(RequestError, match="expected for example dmsca"):
        create_attention("se(reduction=", 8)


def test_an_unknown_option_names_the_nearest(mine: Path) -> None:
    with pytest.raises(
        TypeError, match=r"unknown option of mine.py:Mine 'reductoin'. Did you mean 'reduction'"
    ):
        create_attention(f"{mine}:Mine", 8, reductoin=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "import torch\nx = torch.nope\nclass Mine: pass\n",
            "AttributeError.*mine.py, line 2: x = torch.nope",
        ),
        ("import not_there_at_all\nclass Mine: pass\n", "ModuleNotFoundError.*line 1: import not_there"),
        ("import sys\nsys.exit(3)\nclass Mine: pass\n", "SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported_shows_its_own_lines(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(RequestError, match=f"(?s)cannot be imported: {words}") as caught:
        create_attention(f"{tmp_path}/mine.py:Mine", 8)
    assert "importlib" not in str(caught.value)
    assert not [
        name
        for name in sys.modules
        if name.startswith("mine_")
        and getattr(sys.modules[name], "__file__", "") == str(tmp_path / "mine.py")
    ]


def test_files_of_one_name_and_what_they_import_do_not_mix(tmp_path: Path) -> None:
    x = torch.ones(1, 8, 2, 2)
    outputs = []
    for folder, scale in (("a", 0.0), ("b", 9.0), ("a", 0.0)):
        torch.manual_seed(0)
        module = create_attention(f"{write_mine(tmp_path / folder, scale)}:Mine", 8)
        outputs.append(module(x))
    assert torch.equal(outputs[0], x / 2)
    assert not torch.allclose(outputs[1], outputs[0])
    assert torch.equal(outputs[2], outputs[0])


def test_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    name = f"{write_mine(tmp_path, 1.0)}:Mine"
    before = find_custom(name)
    assert find_custom(name) is before
    write_mine(tmp_path, 0.0)
    after = find_custom(name)
    assert before is not None
    assert after is not None
    assert before.sources is not None
    assert after.sources is not None
    assert before.sources.digest != after.sources.digest
    assert torch.equal(after.build(8)(torch.ones(1, 8, 1, 1)), torch.full((1, 8, 1, 1), 0.5))


def test_a_module_that_was_imported_by_its_name_stays_what_it_is(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type(sys)("helper")
    monkeypatch.setitem(sys.modules, "helper", other)
    path = list(sys.path)
    create_attention(f"{write_mine(mine.parent / 'again')}:Mine", 8)
    assert sys.modules["helper"] is other
    assert sys.path == path


def test_a_module_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mine(tmp_path / "own_pack")
    text = (tmp_path / "own_pack" / "mine.py").read_text().replace("from helper", "from .helper")
    (tmp_path / "own_pack" / "mine.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    module = create_attention("own_pack.mine:Mine", 8)
    assert type(module).__module__ == "own_pack.mine"
    (tmp_path / "own_pack" / "helper.py").write_text("SCALE = 2\n")
    with pytest.raises(RequestError, match="changed after this process imported it"):
        create_attention("own_pack.mine:Mine", 8)


def test_a_class_itself_and_a_function(mine: Path) -> None:
    cls = type(create_attention(f"{mine}:Mine", 8))
    own = custom_mechanism(cls)
    assert own.name == "mine.py:Mine"
    assert own.sources is not None
    assert set(own.sources.files) == {"mine.py", "helper.py"}
    assert list(own.options) == ["reduction", "bias", "spatial"]
    assert pickle.loads(pickle.dumps(own)).make is cls
    nameless = custom_mechanism(lambda channels: nn.Identity())
    assert nameless.sources is None
    lost = pickle.loads(pickle.dumps(nameless))
    with pytest.raises(RequestError, match="lost when the network was pickled"):
        lost.build(8)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch):
    """Let installed packages register these mechanisms."""

    def register(**names: str) -> None:
        entries = [EntryPoint(name, value, known_names.GROUP) for name, value in names.items()]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: EntryPoints(entries))
        known_names.registered_names.cache_clear()

    yield register
    monkeypatch.undo()
    known_names.registered_names.cache_clear()


def test_packages_register_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, register) -> None:
    write_mine(tmp_path)
    (tmp_path / "registered_package.py").write_text((tmp_path / "mine.py").read_text())
    monkeypatch.syspath_prepend(tmp_path)
    register(theirs="registered_package:Bare")
    assert "theirs" in list_attention()
    assert type(create_attention("theirs", 8)).__name__ == "Bare"
    own = find_custom("theirs")
    assert own is not None
    assert own.name == "theirs"


def test_a_registered_name_that_exists_is_refused(register) -> None:
    register(se="registered_package:Bare")
    with pytest.warns(UserWarning, match="'se' as registered_package:Bare, which is ignored"):
        names = list_attention()
    assert names.count("se") == 1
    assert type(create_attention("se", 16)).__name__ == "SE"


def test_channels_are_a_count_for_own_classes_too(mine: Path) -> None:
    with pytest.raises(RequestError, match="channels must be a whole number"):
        create_attention(f"{mine}:Mine", 0)
