"""Names that come from outside (folders, tables, files, records), made safe to print, draw and compare."""

import unicodedata
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["cleaned", "map_strings", "meant", "printable"]

LINES = "\n\t"
TURNING = frozenset(
    "\N{ARABIC LETTER MARK}\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ZERO WIDTH NO-BREAK SPACE}"
) | {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Invisible characters: those that change the direction of text, and the byte order mark."""


def cleaned(name: str) -> str:
    r"""Return `name` on one line, normalised to NFC, with unprintable characters escaped as "\x1b".

    Unprintable characters are control characters, line and paragraph separators, text direction marks,
    noncharacters, and lone surrogates (bytes of a file name that are not Unicode).
    """
    return unicodedata.normalize("NFC", "".join(map(_escaped, name)))


def printable(text: str) -> str:
    """Return `text` cleaned as by `cleaned`, but keep its line ends and tabs."""
    if text.isascii() and text.isprintable():
        return text
    changed = "".join(one if one in LINES else _escaped(one) for one in text)
    return unicodedata.normalize("NFC", changed)


def meant(name: str, known: Collection[str]) -> str:
    """Return the name among `known` that is meant by CBAM or SGFA-CA, or `name` itself."""
    spelled = name.lower().replace("-", "_")
    return spelled if spelled in known else name


def map_strings(content: Any, change: Callable[[str], str]) -> Any:
    """Return parsed JSON with `change` applied to every string in it, keys too."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [map_strings(value, change) for value in content]
    if isinstance(content, dict):
        return {change(key): map_strings(value, change) for key, value in content.items()}
    return content


def _escaped(character: str) -> str:
    if not _is_unprintable(character):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_unprintable(character: str) -> bool:
    if character.isprintable():
        return False
    no_character = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNING or no_character
