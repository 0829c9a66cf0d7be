import pytest

from foveate.data.dense.class_lists import find_class_list, read_class_list
from foveate.errors import RequestError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("sky\nroad\n\nbig car\n", {0: "sky", 1: "road", 2: "big car"}),
        ("\ufeff# made by hand\r\nsky\r\nroad", {0: "sky", 1: "road"}),
        ("sky 128 128 128\nbig car 64\t0 128", {0: "sky", 1: "big car"}),
        ("sky,128,128,128\nroad,0,0,0", {0: "sky", 1: "road"}),
        ("1 wall\n2: floor\n7\tsky", {1: "wall", 2: "floor", 7: "sky"}),
        ("0 sky 1 2 3\n1 road 4 5 6", {0: "sky", 1: "road"}),
        ("sky\n2 wheels", {0: "sky", 1: "2 wheels"}),
        ("sky\nroad 66 1 2 3", {0: "sky", 1: "road 66 1 2 3"}),
        ("__ignore__\n_background_\ncat", {0: "_background_", 1: "cat"}),
        ("caf\u0065\u0301\n\x1b[1m", {0: "café", 1: "\\x1b[1m"}),
    ],
)
def test_lines(tmp_path, text, names):
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8")
    assert read_class_list(tmp_path / "classes.txt") == names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n# nothing\n", "names no class"),
        (b"sky\nroad\nsky", "has the name sky more than once"),
        (b"1 wall\n1 floor", "has the index 1 more than once"),
        (b"0 wall\n255 floor", "names the value 255"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("\n".join(f"name{k}x" for k in range(256)).encode(), "names the value 255"),
    ],
)
def test_refused_lists(tmp_path, content, said):
    (tmp_path / "classes.txt").write_bytes(content)
    with pytest.raises(RequestError, match=said):
        read_class_list(tmp_path / "classes.txt")


def test_missing_list(tmp_path):
    with pytest.raises(RequestError, match="mine.txt cannot be read"):
        read_class_list(tmp_path / "mine.txt")


def test_which_file_names_the_classes(tmp_path):
    assert find_class_list(tmp_path) is None
    (tmp_path / "codes.txt").touch()
    assert find_class_list(tmp_path) == tmp_path / "codes.txt"
    (tmp_path / "names.txt").touch()
    with pytest.raises(RequestError, match="has names.txt and codes.txt, which may each name the classes"):
        find_class_list(tmp_path)
