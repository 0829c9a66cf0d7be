"""The promises of a module, and a comparison with a built-in, for a terminal of 100 columns."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from foveate.notation import count, decimals, listing, magnitude, milliseconds
from foveate.records.check import CheckRecord, FigureRow, LikeRecord, PromiseRow
from foveate.report.core.console import terminal_table

__all__ = ["check_console", "check_headline", "like_console", "like_headline"]

MARKS = {"kept": ("kept", "green"), "broken": ("BROKEN", "bold red"), "not applicable": ("–", "dim")}


def check_headline(record: CheckRecord) -> str:
    """Return what was found in one sentence."""
    kept = sum(row.verdict == "kept" for row in record.promises)
    broken, fatal = record.broken, record.fatal
    if not broken:
        return f"{record.module} keeps {'its promise' if kept == 1 else f'all {kept} promises that apply'}"
    if fatal:
        needs = listing(sorted({row.needed_for for row in fatal}, reverse=True))
        end = f"{len(fatal)} of them {'is' if len(fatal) == 1 else 'are'} needed for {needs}"
    else:
        end = "none of them is needed for training or shipping"
    return f"{record.module} breaks {len(broken)} of {len(broken) + kept} promises that apply; {end}"


def check_console(record: CheckRecord) -> Group:
    """Lay out the promises and the costs, to be printed with rich."""
    channels = listing([str(number) for number in record.channels])
    lines: list[RenderableType] = [
        Text(check_headline(record), style="bold"),
        Text(f"Maps of {channels} channels on {record.device}, from 1×1 up."),
        Padding(
            terminal_table(
                ("promise", "needed for", ""),
                [_promise(row) for row in record.promises],
                named=3,
                widths=(46, 10, 6),
                gap=2,
            ),
            (1, 0),
        ),
    ]
    if record.broken:
        lines.append(Text("The smallest input found that breaks a promise, and what came out:"))
    for row in record.broken:
        lines += _finding(row)
    reasons: dict[str, list[str]] = {}
    for row in record.promises:
        if row.why_not:
            reasons.setdefault(row.why_not, []).append(row.promise)
    for why, names in reasons.items():
        lines.append(Text(f"– {', '.join(names)}: {why}.", style="dim"))
    if record.figures:
        shape = "×".join(map(str, record.figures_input))
        lines += [
            Text(f"\nCosts: work for one map, time for maps of {shape}, taken in turns:"),
            Padding(
                terminal_table(
                    ("module", "parameters", "multiply-adds", "element-wise", "ms", "× SE"),
                    [_figures(row) for row in record.figures],
                    gap=2,
                ),
                (1, 0, 0, 0),
            ),
        ]
    return Group(*lines, "")


def _promise(row: PromiseRow) -> list[str | Text]:
    mark, style = MARKS[row.verdict]
    return [row.title, row.needed_for, Text(mark, style=style)]


def _finding(row: PromiseRow) -> list[RenderableType]:
    cause = f": {row.cause}" if row.cause else ""
    place = f" ({row.place})" if row.place else ""
    style = "red" if row.is_fatal else "yellow"
    return [
        Text(f"✗ {row.promise}{cause}{place}", style=style),
        Padding(Text(f"{row.input}\n{row.found}"), (0, 0, 0, 2)),
    ]


def _figures(row: FigureRow) -> list[str]:
    return [
        row.module,
        magnitude(row.parameters),
        magnitude(row.macs),
        magnitude(row.element_wise),
        milliseconds(row.latency_ms_p50),
        decimals(row.latency_ratio, 2),
    ]


def like_headline(record: LikeRecord) -> str:
    """Return in one sentence whether both are the same function."""
    names = f"{record.module} and {record.builtin}"
    if record.verdict == "same":
        return f"{names} are the same function"
    if record.verdict == "known":
        return f"{names} differ in {count(len(record.differences), 'known way')}"
    return f"{names} differ, in a way that foveate does not know"


def like_console(record: LikeRecord) -> Group:
    """Lay out a comparison with a built-in, to be printed with rich."""
    lines: list[RenderableType] = [Text(like_headline(record), style="bold")]
    lines += [Padding(Text(f"· {row.text}"), (0, 0, 0, 2)) for row in record.differences]
    if record.largest_difference is not None:
        lines.append(
            Text(f"Largest difference of an output with equal weights: {_small(record.largest_difference)}.")
        )
    if record.smallest_input is not None:
        lines.append(Text(f"Smallest input at which they differ: {record.smallest_input}."))
    if record.differences and record.remaining_difference is not None:
        they = "it" if len(record.differences) == 1 else "them"
        remaining = _small(record.remaining_difference)
        lines.append(
            Text(f"{record.builtin} with {they} gives the output of {record.module}, up to {remaining}.")
        )
    if record.weights:
        lines.append(
            Padding(
                terminal_table((record.module, "taken as"), list(record.weights.items()), named=2, gap=3),
                (1, 0),
            )
        )
    lines += [Text(note) for note in record.notes]
    return Group(*lines, "")


def _small(value: float) -> str:
    return f"{value:.2g}"
