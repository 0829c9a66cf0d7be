"""The table of docs/choosing.md: every mechanism, with its place and its counted price."""

import json
from pathlib import Path

from foveate.known_names import MECHANISMS_TABLE

PAGE = Path(__file__).parents[1] / "docs" / "choosing.md"


def percent(value: float) -> str:
    if value == 0:
        return "0"
    return "< 0.01 %" if value < 0.005 else f"+{value:.2f} %" if value < 1 else f"+{value:.1f} %"


def test_the_table_has_each_mechanism_at_its_price() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if "| `" in line]
    found = {row[0].strip("|` "): [cell.strip(" |") for cell in row[2:]] for row in rows}
    mechanisms = json.loads(MECHANISMS_TABLE.read_text(encoding="utf-8"))["mechanisms"]
    expected = {
        one["name"]: [
            "every block" if one["where"] == "block" else f"stages {one['stages'][0]}–{one['stages'][-1]}",
            percent(one["parameters_increase_percent"]),
            percent(one["macs_increase_percent"]),
        ]
        for one in mechanisms
    }
    assert found == expected
