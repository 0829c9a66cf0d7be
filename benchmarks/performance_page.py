"""Write docs/performance.md from the record of a run: one section per machine."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from compiled_goals import CompiledComparison, judge_compiled, milliseconds, rows_of
from compiled_networks import EAGER
from foveate.errors import RequestError
from foveate.notation import count
from price_goals import Comparison, change, has_price, judge, judge_memory, percent
from price_networks import AGAIN, BASELINE, EQUATIONS, FOVEATE, TIMM, Case

NO_GPU = "GPU: none yet"
SECTION = re.compile(r"<!-- machine: (.*?) -->\n(.*?)<!-- end of machine -->", re.DOTALL)
COMPILED = re.compile(r"\n<!-- compiled -->\n.*?<!-- end of compiled -->\n", re.DOTALL)
BESIDE = "Beside torch.compile"
OVER_EAGER = ("baseline, over the eager one", "its equations, over it", "foveate, over it")
HEAD = """# Performance: what attention adds to a network's latency

`benchmarks/attention_price.py` writes this page; it has nothing but its measurements. Each section belongs to
one machine and names the command that measured it; running the command again replaces that section.

**Proof first.** No figure is printed unless the equality tests pass on the machine and the output of each
site of every network, at the timed shapes and dtype, equals that of its equations in float64; in training,
the gradients of the map and of the weights must be equal as well. The tolerances are those of
`tests/kernels/pass_cases.py`, or, if rounding in a whole mechanism adds up to more, four times the error of
the equations in that dtype.

**What is compared.** In each round every network of a row takes one step: the baseline, which has
no attention, the baseline again (which shows the noise), foveate's on the kernel path that `auto` takes,
foveate's on the reference path ("its equations"), and timm's layer at the same sites with the same number
of hidden channels (timm has no DMSCA, SGFA and SimAM). Weights are random, and those of the backbone are the
same in all networks. Nothing is compiled, except in the tables "Beside torch.compile". A training step is
forward, cross-entropy, backward and SGD with momentum, all in the dtype. Peak memory is what torch's
allocator holds for a network at the peak of a step. On a GPU, times are between device events, and an
inference of one image replays a captured graph.

**How to read it.** `+8.3 % [7.9, 8.8] (7.1 … 9.9)`: the median over the rounds of the ratio of two times in
the same round, its 95 % interval, and the quartiles of the rounds. A goal is *reached* if the whole interval
is at or below it, *not reached* if the whole interval is above it, and otherwise *open*.
"""


def put_section(page: str, record: dict[str, Any], awaited: Sequence[Case]) -> str:
    """Return `page` with the section of this run; `awaited` are listed as not measured yet."""
    sections = read_sections(page)
    sections.pop(NO_GPU, None)
    name = _machine(record["environment"])
    kept = "".join(COMPILED.findall(sections.get(name, "")))
    sections[name] = f"## {name}\n\n{_facts(record)}\n{_tables(record)}{kept}"
    if awaited and name.startswith("GPU"):
        waiting = _table(["", ""], [[case.name, "not measured yet"] for case in awaited])
        sections[name] += f"\n### Rows that wait for the next slice\n\n{waiting}"
    if awaited and not any(name.startswith("GPU") for name in sections):
        rows = [[case.name, "not measured: no GPU in this run"] for case in awaited]
        command = (
            "`python benchmarks/on_gpu.py --minutes 10 --out DIR --write docs/performance.md` there fills "
            "these rows, in slices that add up (benchmarks/README.md).\n\n"
        )
        sections[NO_GPU] = f"## GPU\n\n{command}" + _table(["", ""], rows)
    return _join(sections)


def put_compiled(page: str, record: dict[str, Any]) -> str:
    """Return `page` with the tables of a run of compiled_price.py in the section of its machine."""
    sections = read_sections(page)
    name = _machine(record["environment"])
    where, comparisons = record["environment"], record["comparisons"]
    rounds = min(one["rounds"] for one in comparisons)
    facts = [
        f"{record['date']}: `{record['command']}`",
        ", ".join(f"{key} {where[key]}" for key in ("foveate", "torch", "timm", "numba")),
        f"{record['seconds']:g} s and {rounds} rounds or more a comparison; all networks of a row took turns",
        "Each network was compiled in its own process, and its output and, in training, its gradients were "
        "compared with those of its eager form before it was timed",
    ]
    listed = "".join(f"- {fact}\n" for fact in facts)
    block = f"### {BESIDE}\n\n{listed}\n{_beside(comparisons)}"
    before = COMPILED.sub("", sections.get(name, f"## {name}\n"))
    sections[name] = f"{before}\n<!-- compiled -->\n{block}<!-- end of compiled -->\n"
    return _join(sections)


def _join(sections: dict[str, str]) -> str:
    marked = [f"<!-- machine: {name} -->\n{text}<!-- end of machine -->\n" for name, text in sections.items()]
    return "\n".join([HEAD, *marked])


def read_sections(page: str) -> dict[str, str]:
    """Return the sections of a page by machine; RequestError if the text is no such page."""
    sections = dict(SECTION.findall(page))
    if page.strip() and not sections:
        raise RequestError("--write names a file that this benchmark did not write: name another")
    return sections


def _machine(where: dict[str, Any]) -> str:
    if where["accelerator"] != "cpu":
        return f"GPU: {where['accelerator']}"
    return f"CPU: {where['processor']}, {count(where['threads'], 'thread')}"


def _facts(record: dict[str, Any]) -> str:
    where, comparisons = record["environment"], record["comparisons"]
    versions = ("foveate", "torch", "timm", "numba", "triton", "python")
    size, dtype = comparisons[0]["image_size"], comparisons[0]["dtype"]
    rounds = min(found["rounds"] for found in comparisons)
    facts = [
        f"{record['date']}: `{record['command']}`",
        f"{where['processor']}, {count(where['cores'], 'core')}, {count(where['threads'], 'thread')}",
        ", ".join(f"{key} {where[key]}" for key in versions) + f", {where['platform']}",
        f"Equality: {record['proof']}; every site of every network below",
        f"Images of {size}×{size}, {dtype}; {record['seconds']:g} s and {rounds} rounds or more a comparison",
    ]
    if changed := record.get("changed", 0):
        of = f"{changed} of the {len(comparisons)} comparisons"
        facts.append(
            f"**{of} were made with kernels that have changed since:** they say nothing of the present ones"
        )
    return "".join(f"- {fact}\n" for fact in facts)


def _tables(record: dict[str, Any]) -> str:
    comparisons = record["comparisons"]
    tables = {
        "DMSCA and SGFA, over the baseline": _price_table(
            [found for found in comparisons if has_price(found)]
        ),
        "The others, over the baseline, timm's and their equations": _never_slower_table(
            [found for found in comparisons if not has_price(found)]
        ),
        "Peak memory of a step, over the baseline": _memory_table(
            [found for found in comparisons if found["peak_memory_over_plain"]]
        ),
        BESIDE: _compiled_table(comparisons),
        "Paths that were taken": _paths(comparisons),
        "First use: seconds of one call in a new process, in none of the figures above": _table(
            ["", "nothing was ever compiled", "a later process"],
            [
                [name, f"{seconds['first']:.1f}", f"{seconds['later']:.2f}"]
                for name, seconds in record["first_use_seconds"].items()
            ],
        ),
    }
    return "\n".join(f"### {title}\n\n{table}" for title, table in tables.items() if table)


def _price_table(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for found in comparisons:
        cells = [change(found["over_plain"][name]) for name in (FOVEATE, EQUATIONS, AGAIN)]
        rows.append([_form(found), f"{found['ms_p50'][BASELINE]:.4g}", *cells, *judge(found)])
    return _table(["", "baseline, ms", "foveate", "its equations", "baseline again", "goal", ""], rows)


def _never_slower_table(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for found in comparisons:
        cells = [change(found["over_plain"][name]) for name in (FOVEATE, TIMM, AGAIN)]
        cells += [change(found["over_timm"]), change(found["over_equations"])]
        rows.append([_form(found), f"{found['ms_p50'][BASELINE]:.4g}", *cells, judge(found)[1]])
    head = [
        "",
        "baseline, ms",
        "foveate over the baseline",
        "timm's over the baseline",
        "baseline again",
        "foveate over timm's",
    ]
    return _table([*head, "foveate over its equations", "goal: never slower"], rows)


def _memory_table(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for found in comparisons:
        memory = found["peak_memory_over_plain"]
        cells = [percent(memory[name]) if name in memory else "" for name in (FOVEATE, EQUATIONS, TIMM)]
        rows.append([_form(found), *cells, *judge_memory(found)])
    return _table(["", "foveate", "its equations", "timm's", "goal", ""], rows)


def _compiled_table(comparisons: Sequence[Comparison]) -> str:
    """Return the table of compiled networks, each of which was measured in its own process."""
    rows = []
    for found in comparisons:
        compiled = found.get("compiled") or {}
        cells = [change((compiled.get(of) or {}).get("over_plain")) for of in (BASELINE, EQUATIONS, FOVEATE)]
        if any(cells):
            eager = [change(found["over_plain"][of]) for of in (EQUATIONS, FOVEATE)]
            rows += [[_form(found), EAGER, "", *eager], ["", "compiled", *cells]]
    return _table(["", "", *OVER_EAGER], rows)


def _beside(comparisons: Sequence[CompiledComparison]) -> str:
    """Return the table of the networks of compiled_price.py, all of which took turns."""
    rows = []
    for found in comparisons:
        for row in rows_of(found):
            of = (row.baseline, row.equations, row.foveate)
            form = EAGER if row.form == EAGER else f"compiled, {row.form}"
            cells = [change(one["over_plain"]) if one else "" for one in of]
            if row.baseline and row.form == EAGER:
                cells[0] = f"{row.baseline['ms_p50']:.4g} ms"
            cells.append(change(row.foveate["over_of_form"]) if row.foveate else "")
            cells.append(milliseconds(row.foveate["adds"]) if row.foveate else "")
            took = [
                f"{one['compile_seconds']:.0f}" for one in of if one and one["compile_seconds"] is not None
            ]
            cells += [" / ".join(took), judge_compiled(found, row)]
            rows.append([_form(found) if row.form == EAGER else "", form, *cells])
    also = ("foveate, over the baseline of its form", "foveate adds", "compiled in, s", "goal")
    return _table(["", "", *OVER_EAGER, *also], rows)


def _paths(comparisons: Sequence[Comparison]) -> str:
    """Return the kernel paths of all comparisons, each once."""
    total = Counter(found["mechanism"] for found in comparisons)
    lines: Counter[tuple[str, str]] = Counter()
    for found in comparisons:
        for taken in found["paths"]:
            part = "" if taken["part"] == found["mechanism"] else f"{taken['part']} by "
            line = f"{part}{taken['path']} at {count(taken['sites'], 'site')} ({taken['reason']})"
            lines[found["mechanism"], line] += 1
    return "".join(
        f"- {mechanism}: {line}"
        + ("" if n == total[mechanism] else f", in {n} of {total[mechanism]} rows")
        + "\n"
        for (mechanism, line), n in lines.items()
    )


def _form(found: Comparison | CompiledComparison) -> str:
    graph = ", graph-captured" if found["graph"] else ""
    form = f"{found['mode']}, batch {found['batch_size']}, {found['memory_format']}{graph}"
    return f"{found['mechanism']} in {found['backbone']}, {form}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; "" without rows."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
