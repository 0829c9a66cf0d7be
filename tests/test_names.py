"""Names from outside: written out where they cannot be printed, and in one spelling."""

import unicodedata

import pytest

from foveate.names import cleaned, map_strings, printable


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\x01b\x7fc\x85", "a\\x01b\\x7fc\\x85"),
        ("line\nline\t", "line\\x0aline\\x09"),
        ("\ufffe\uffff\ufdd0\U0001fffe", "\\ufffe\\uffff\\ufdd0\\U0001fffe"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("caf\udce9", "caf\\udce9"),
        ("cafe\u0301", "café"),
        ("kept as it is: Ünïcøde, 日本語, हिन्दी, 👩\u200d🔬, −1 °C, no\xa0break", None),
        ("کتاب\u200cها", None),  # the joiner is part of the word's spelling
        ("", None),
    ],
    ids=ascii,
)
def test_names_are_on_one_line_and_in_one_spelling(given, expected):
    expected = given if expected is None else expected
    assert cleaned(given) == expected
    assert cleaned(expected) == expected
    assert unicodedata.is_normalized("NFC", cleaned(given))


def test_text_keeps_its_lines():
    assert printable("a\n\tb\x1b[2J\r") == "a\n\tb\\x1b[2J\\x0d"
    assert printable("e\u0301") == "é"


def test_every_string_of_a_record_is_changed():
    record = {"a\x01": ["\x02", {"b": "\x03"}], "n": 1.5, "none": None, "yes": True}
    assert map_strings(record, printable) == {
        "a\\x01": ["\\x02", {"b": "\\x03"}],
        "n": 1.5,
        "none": None,
        "yes": True,
    }
