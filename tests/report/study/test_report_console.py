import io

from rich.console import Console
from synthetic_study import write_study

from foveate.records.study import read_records
from foveate.report.study.console import console_table
from foveate.report.study.summary import summarise


def printed(folder, **options):
    console = Console(file=io.StringIO(), width=80)
    console.print(console_table(summarise(read_records(write_study(folder, **options)))))
    return console.file.getvalue()


def test_is_readable_at_80_columns(tmp_path):
    lines = printed(tmp_path, failed=("cbam", 1)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("Take dmsca")
    row = next(line for line in lines if line.startswith("dmsca ") and "±" in line)
    assert row.split() == [
        "dmsca",
        "96.93",
        "±",
        "0.47",
        "+2.16",
        "<",
        "0.001",
        "+11.0",
        "%",
        "+2.9",
        "%",
        "4.95",
        "+135",
        "%",
    ]


def test_long_labels_fold_and_are_not_taken_for_markup(tmp_path):
    text = printed(tmp_path, gains={"none": 0.0, "dmsca(kernels=[3,5,7])": 0.01}, seeds=2)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "[3,5,7]" in text
