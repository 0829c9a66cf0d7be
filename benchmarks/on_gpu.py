"""Measure everything that a GPU can tell, in one command that resumes where it stopped.

It first proves each kernel and whole networks equal to float64. Then it measures the latency of attention
beside its equations, timm's layers and compiled networks, and the time of each operator. The remaining time
trains a study of CIFAR-10, which resumes in the next slice. Records in DIR are not measured again. A failure
is recorded with its traceback, and the next unit follows. The last lines are a table of done and left units.

    python benchmarks/on_gpu.py --minutes 10 --out DIR --data CIFAR10
    python benchmarks/on_gpu.py --minutes 10 --out DIR --data CIFAR10 --from slice.tar.gz --whole-runs
    python benchmarks/on_gpu.py --out DIR --write docs/performance.md    # only write what DIR has
    python benchmarks/on_gpu.py --minutes 2 --out DIR --dry-run-on-cpu   # the same path, tiny, on a CPU
"""

import time

STARTED = time.monotonic()  # before the imports, which count for the slice, too

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from pathlib import Path  # noqa: E402

os.environ.setdefault(
    "PYTORCH_NVML_BASED_CUDA_CHECK", "1"
)  # otherwise forks could not use a GPU after is_available
SOURCE = str(Path(__file__).resolve().parents[1] / "src")  # measure this checkout
sys.path.insert(0, SOURCE)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))

import torch  # noqa: E402
from filelock import FileLock, Timeout  # noqa: E402

from foveate.errors import RequestError, WorkError  # noqa: E402
from gpu_steps import accuracy, breakdown, passes, price, proof, speed, table  # noqa: E402
from gpu_steps.packing import pack, unpack  # noqa: E402
from gpu_steps.settings import Settings, dry_run, on_a_gpu  # noqa: E402
from gpu_steps.units import Records, Unit, choose_processes, start, stop  # noqa: E402
from price_command import say  # noqa: E402

SHARES = {proof.STEP: 0.25, passes.STEP: 0.10, price.STEP: 0.35, breakdown.STEP: 0.10, speed.STEP: 0.10}
"""The largest share of a slice that each step takes; the study takes the rest."""
RESERVE = 10.0
"""Seconds reserved at the end for the archive and the table."""
LEAST = 5.0
"""Seconds that must be left to start a training."""
AT_A_TIME = 8
"""Proofs that run in parallel: most of their time is compiling, and none is timed."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--minutes", type=float, default=0.0, help="minutes of the slice, from start to end")
    parser.add_argument("--data", help="CIFAR-10, a folder of parquet files; without it the study waits")
    parser.add_argument("--from", dest="earlier", type=Path, nargs="+", default=[], metavar="ARCHIVE")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME", help="records to measure again")
    parser.add_argument("--whole-runs", action="store_true", help="start no training that would be cut")
    parser.add_argument("--keep-weights", action="store_true", help="put trained weights into the archive")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page, docs/performance.md")
    parser.add_argument("--dry-run-on-cpu", action="store_true", help="the same path with tiny settings")
    given = parser.parse_args(arguments)
    if given.minutes < 0:
        parser.error(f"--minutes {given.minutes:g}: expected a positive number")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 if the work failed, 2 if the request was wrong, 130 if it was interrupted."""
    given = parse(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        with FileLock(given.out / ".lock", timeout=0):
            return _run(given)
    except Timeout:
        say(f"error: another slice is at work in {given.out}")
        return 2
    except (RequestError, WorkError) as error:
        say(f"error: {error}")
        return 2 if isinstance(error, RequestError) else 1


def _run(given: argparse.Namespace) -> int:
    for archive in given.earlier:
        unpack(archive, given.out)
    if not given.dry_run_on_cpu and given.minutes and not torch.cuda.is_available():
        raise RequestError(
            "torch sees no CUDA device here: --dry-run-on-cpu takes the same path on a CPU, with tiny sizes"
        )
    make = dry_run if given.dry_run_on_cpu else on_a_gpu
    settings = make(given.data, given.whole_runs)
    records = Records(given.out)
    units = [unit for step in (proof, passes, price, breakdown, speed) for unit in step.units(settings)]
    _forget(given.again, records, units)
    interrupted = False
    if given.minutes:
        try:
            _slice(settings, records, units, STARTED + 60 * given.minutes - RESERVE, 60 * given.minutes)
        except KeyboardInterrupt:
            interrupted = True
        say(f"packed: {pack(given.out, weights=given.keep_weights)}")
    study = given.out / accuracy.STEP
    for line in table.lines(records, units, accuracy.progress(study), accuracy.fault_of(study)):
        print(line)
    if given.write:
        from gpu_steps.page import write_page

        write_page(given.write, records, settings)
        say(f"written: {given.write}")
    return 130 if interrupted else 0


def _slice(settings: Settings, records: Records, units: list[Unit], ends: float, seconds: float) -> None:
    """Give each step its share of the time, the study the rest, and the steps the time that is then left."""
    choose_processes(settings)
    for step, share in SHARES.items():
        of_step = [unit for unit in units if unit.step == step]
        _carry_out(settings, records, of_step, share * seconds, ends)
        pack(records.folder, weights=False)  # so that the results are there even if this process is killed
    _study(settings, records.folder / accuracy.STEP, ends)
    _carry_out(settings, records, units, seconds, ends)


def _carry_out(settings: Settings, records: Records, units: list[Unit], seconds: float, ends: float) -> None:
    """Carry out the units that are not done: proofs in parallel on a GPU, timed units one by one."""
    until = min(time.monotonic() + seconds, ends)

    def do(unit: Unit) -> None:
        left = until - time.monotonic()
        if left < unit.least:
            return
        say(f"{ends - time.monotonic():5.0f} s left: {unit.step}, {unit.title}")
        say(f"{records.carry_out(unit, settings, left):>14}: {unit.title}")

    waiting = records.waiting(units)
    proofs = [unit for unit in waiting if unit.step == proof.STEP]
    with ThreadPoolExecutor(AT_A_TIME if settings.device == "cuda" else 1) as pool:
        try:
            list(pool.map(do, proofs))
            for unit in waiting:
                if unit.step != proof.STEP:
                    do(unit)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            records.stop_all()
            raise


def _study(settings: Settings, folder: Path, ends: float) -> None:
    if ends - time.monotonic() < LEAST or not accuracy.is_waiting(settings, folder):
        return
    say(f"{ends - time.monotonic():5.0f} s left: the study of {settings.data}")
    folder.mkdir(parents=True, exist_ok=True)
    process = start(accuracy.carry_on, settings, folder, ends)
    try:
        process.join(max(ends - time.monotonic(), 0))
    finally:
        stop(process)


def _forget(names: Sequence[str], records: Records, units: list[Unit]) -> None:
    paths = {unit.name: records.path(unit) for unit in units}
    for name in names:
        if name not in paths:
            raise RequestError(f"--again {name}: there is no such record; there are {', '.join(paths)}")
        paths[name].unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
