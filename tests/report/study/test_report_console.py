import io

from rich.console import Console
from synthetic_study import write_study

from foveate.records.study import read_study
from foveate.report.study.console import console_table
from foveate.report.study.summarise import summarise


def printed(folder, **options):
    summary = summarise(read_study(write_study(folder, **options)))
    console = Console(file=io.StringIO(), width=80)
    console.print(console_table(summary))
    return summary, console.file.getvalue()


def test_is_readable_at_80_columns(tmp_path):
    summary, text = printed(tmp_path, failed=("cbam", 1))
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert summary.verdict[0].startswith(lines[0].strip())
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
    _, text = printed(tmp_path, gains={"none": 0.0, "dmsca(kernels=[3,5,7])": 0.01}, seeds=2)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "[3,5,7]" in text
