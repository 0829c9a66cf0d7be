"""Collect what a bare GPU machine needs for on_gpu.py: wheels, and CIFAR-10 in parts.

Such a machine has Python 3.11 or 3.12 with the packages of THERE, and no network. Both collections are kept
under 60 MB each, so that they can be carried one at a time.

    python benchmarks/bare_machine.py wheels --python 3.12 --out wheels
    python benchmarks/bare_machine.py data path/to/cifar10 --parts 2 --out parts
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from foveate.data.tables import parquet_files
from foveate.errors import RequestError, WorkError

ROOT = Path(__file__).resolve().parents[1]
THERE = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchmetrics",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "safetensors",
    "triton",
)
"""Packages that the machine must have, with their requirements."""
WHEELS = (
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "attrs",
    "cyclopts",
    "datasets",
    "dill",
    "multiprocess",
    "xxhash",
)
"""Packages that on_gpu.py imports in addition: a few MB. The last four read the parquet files."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
MEGABYTES = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 if the work failed, 2 if the request was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    wheels = commands.add_parser("wheels", help="download the wheels of WHEELS, in the locked versions")
    wheels.add_argument("--python", default="3.12", help="Python of the machine: 3.11 or 3.12")
    wheels.add_argument(
        "--also", nargs="+", default=[], metavar="NAME", help="further packages, e.g. pyarrow"
    )
    data = commands.add_parser("data", help="cut a folder of parquet files into parts")
    data.add_argument("folder", type=Path)
    data.add_argument("--parts", type=int, default=2)
    for command in (wheels, data):
        command.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args(arguments)
    try:
        if given.command == "wheels":
            collect_wheels(given.out, given.python, [*WHEELS, *given.also])
        else:
            cut(given.folder, given.out, given.parts)
    except (RequestError, WorkError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, RequestError) else 1
    return 0


def collect_wheels(out: Path, python: str, names: Sequence[str]) -> None:
    """Download the wheels of `names` for that Python on x86-64 Linux.

    Raises:
        RequestError: requirements.lock lacks a name.
        WorkError: pip could not download the wheels, or together they are larger than MEGABYTES.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", python, "--dest", str(out)]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    done = subprocess.run([*command, *pinned(names)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkError(f"pip could not download the wheels:\n{done.stderr.strip()}")
    _tell_size(out, sorted(out.glob("*.whl")))


def pinned(names: Sequence[str]) -> list[str]:
    """Return name==version of requirements.lock for each of `names`."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, flags=re.MULTILINE))
    if unknown := [name for name in names if name not in versions]:
        raise RequestError(f"{', '.join(unknown)}: not among the packages of requirements.lock")
    return [f"{name}=={versions[name]}" for name in names]


def cut(folder: Path, out: Path, parts: int) -> None:
    """Cut each parquet file below `folder` by rows into `out`/1, `out`/2 ….

    All parts copied into one folder are the same data set in the same order.

    Raises:
        RequestError: there are no parquet files, or less than one part is requested.
        WorkError: a part is larger than MEGABYTES.
    """
    import pyarrow.parquet as parquet

    files = parquet_files(folder)
    if not files or parts < 1:
        raise RequestError(f"{folder} has {len(files)} parquet files, and {parts} parts were asked for")
    for name in files:
        table = parquet.read_table(folder / name)
        for part in range(parts):
            first, end = (len(table) * place // parts for place in (part, part + 1))
            piece = out / str(part + 1) / name
            piece = piece.with_name(f"{piece.stem}-{part + 1}.parquet")
            piece.parent.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table.slice(first, end - first), piece)
    for part in range(parts):
        _tell_size(out / str(part + 1), sorted((out / str(part + 1)).rglob("*.parquet")))


def _tell_size(folder: Path, files: Sequence[Path]) -> None:
    size = sum(file.stat().st_size for file in files) / 1e6
    print(f"{folder}: {len(files)} files, {size:.1f} MB")
    if size > MEGABYTES:
        raise WorkError(f"{folder} is larger than {MEGABYTES} MB: ask for more parts, or fewer packages")


if __name__ == "__main__":
    sys.exit(main())
