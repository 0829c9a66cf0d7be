"""Names that come from outside (folders, tables, files, records), made safe to print, draw and compare."""

import unicodedata
from collections.abc import Callable
from typing import Any

__all__ = ["cleaned", "map_strings", "printable"]

LINES = "\n\t"
TURNING = frozenset(
    "\N{ARABIC LETTER MARK}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ZERO WIDTH NO-BREAK SPACE}"
) | {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the direction of the text around them, and the byte order mark: all are invisible."""


def cleaned(name: str) -> str:
    r"""Return `name` on one line and in one spelling (Unicode's NFC), unprintable characters as "\x1b".

    Unprintable are control characters, line and paragraph separators, marks that turn the direction of text,
    code points that are no characters, and what of a file's name is no Unicode (a lone surrogate).
    """
    return unicodedata.normalize("NFC", "".join(map(_written_out, name)))


def printable(text: str) -> str:
    """Return `text` as `cleaned` does, but with its line ends and tabs."""
    if text.isascii() and text.isprintable():
        return text
    changed = "".join(one if one in LINES else _written_out(one) for one in text)
    return unicodedata.normalize("NFC", changed)


def map_strings(content: Any, change: Callable[[str], str]) -> Any:
    """Return parsed JSON with `change` applied to every string in it, keys too."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [map_strings(value, change) for value in content]
    if isinstance(content, dict):
        return {change(key): map_strings(value, change) for key, value in content.items()}
    return content


def _written_out(character: str) -> str:
    if not _is_unprintable(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_unprintable(character: str) -> bool:
    if character.isprintable():
        return False
    no_character = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNING or no_character
