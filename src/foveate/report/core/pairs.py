"""Keys and values of settings, conditions and versions, as a page lists them."""

from collections.abc import Iterable, Mapping

from foveate.notation import NOTHING

__all__ = ["readable_pairs"]


def readable_pairs(entries: Mapping[str, object] | Iterable[tuple[str, object]]) -> list[tuple[str, str]]:
    """Return each key with its value as text; the keys of a nested object follow that of the object."""
    pairs: list[tuple[str, str]] = []
    for key, value in entries.items() if isinstance(entries, Mapping) else entries:
        if isinstance(value, Mapping) and value:
            pairs += [(f"{key}: {inner}", text) for inner, text in readable_pairs(value)]
        else:
            pairs.append((key, _written(value)))
    return pairs


def _written(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value)) or "none"
    return str(value)
