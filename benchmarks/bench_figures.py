"""The ratios in the records of the benchmarks that `committed.py` keeps and compares."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from compiled_goals import rows_of
from compiled_networks import EAGER
from price_networks import FOVEATE, Case

Record = dict[str, Any]


class Figure(NamedTuple):
    """A ratio of one run.

    Attributes:
        name: what is compared with what, as in no other figure of the benchmark.
        ratio: the median.
        interval: its 95 % interval; None if there were too few rounds.
        measures: "price" is a time over that of the baseline, of which what exceeds 1 counts; "time" is
            another ratio of times, "speed" one of speeds, for which more is better.
    """

    name: str
    ratio: float
    interval: tuple[float, float] | None
    measures: str

    @property
    def said(self) -> str:
        """The ratio and its interval in words."""
        interval = " [{:.3f}, {:.3f}]".format(*self.interval) if self.interval else ""
        return f"{self.ratio:.3f}{interval}"

    def __str__(self) -> str:
        return f"{self.name}: {self.said}"


def read_figures(record: Record) -> list[Figure]:
    """Return the figures of a record that a benchmark wrote with --json."""
    return list(READERS[record["benchmark"]](record))


def make_record(
    benchmark: str, environment: Record, command: str, date: str, figures: list[Figure]
) -> Record:
    """Return a record of a benchmark that has no other form of its own."""
    kept = [one._asdict() for one in figures]
    head = {"benchmark": benchmark, "environment": environment, "command": command, "date": date}
    return head | {"figures": kept}


def _of_attention(record: Record) -> Iterator[Figure]:
    for found in record["comparisons"]:
        name = _case(found)
        yield _figure(f"{name}: over the baseline", found["over_plain"][FOVEATE], "price")
        yield _figure(f"{name}: over the equations", found["over_equations"], "time")
        if found["over_timm"]:
            yield _figure(f"{name}: over timm's", found["over_timm"], "time")


def _of_compiled(record: Record) -> Iterator[Figure]:
    for found in record["comparisons"]:
        for row in rows_of(found):
            if row.form != EAGER and row.foveate:
                name = f"{_case(found)}, compiled, {row.form}: over the baseline of that form"
                yield _figure(name, row.foveate["over_of_form"], "price")


def _of_figures(record: Record) -> Iterator[Figure]:
    for one in record["figures"]:
        yield _figure(one["name"], one, one["measures"])


def _case(found: Record) -> str:
    return Case(**{key: found[key] for key in Case._fields}).name


def _figure(name: str, found: Record, measures: str) -> Figure:
    interval = found["interval"]
    return Figure(name, found["ratio"], (interval[0], interval[1]) if interval else None, measures)


READERS: dict[str, Callable[[Record], Iterator[Figure]]] = {
    "attention_price": _of_attention,
    "compiled_price": _of_compiled,
    "training_price": _of_figures,
    "fit_throughput": _of_figures,
    "dense_throughput": _of_figures,
    "corruption_price": _of_figures,
}
