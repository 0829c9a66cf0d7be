"""How much time a study of many runs takes beside its training: scheduled, recorded and reported.

One run is trained for real. All others are simulated: each is a task of Ray that holds its folder, writes
scores of its own, and publishes a record, as a trained run does. Then the report is built. `--records` writes
that many records more, in this process, and measures how long reading them takes.

    python benchmarks/many_runs.py [--runs 1000] [--records 10000] [--json FILE]
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foveate.data import Data
from foveate.files import write_json
from foveate.records.file_names import RESULT, RUNS
from foveate.records.read_run import read_run
from foveate.records.run import RunRecord
from foveate.records.scores import read_scores, write_scores
from foveate.records.study import read_study
from foveate.report.study.build import build_report
from foveate.studies.compare import begin_study
from foveate.studies.engine.carrying import carry_out
from foveate.studies.engine.executors.need import Need
from foveate.studies.engine.executors.on_ray.cluster import RayCluster
from foveate.studies.engine.fitting import Machine
from foveate.studies.engine.holding import hold_run_folder, sole_user
from foveate.studies.engine.images import open_study
from foveate.studies.engine.run import execute
from foveate.studies.engine.watch import Watch
from foveate.studies.spec.making import make_study
from foveate.studies.spec.study import RunSpec, StudySpec

TEMPLATE = "template"
MACHINE = Machine("cpu")
CANDIDATES = 20


@dataclass(frozen=True)
class Part:
    """A part of the work, with its seconds and the memory of this process after it, in MB."""

    name: str
    seconds: float
    memory: float


def study_of(runs: int) -> StudySpec:
    """Return a study of 20 candidates on the digits, of one epoch and at least `runs` runs."""
    reductions = [f"{name}(reduction={number})" for name in ("se", "cbam") for number in range(1, 17)]
    labels = ["none", *reductions[: CANDIDATES - 1]]
    seeds = -(-runs // CANDIDATES)
    settings = {"data": "digits", "backbone": "cifar_resnet8", "attention": ",".join(labels), "seeds": seeds}
    return make_study(settings, {"epochs": 1})


def pretend(run: RunSpec, watch: Watch, data: Data, out: Path, machine: Machine) -> RunRecord:
    """Record a run that was not trained, as `simulated` makes it."""
    folder = out / RUNS / run.id
    with hold_run_folder(folder, machine.torch_device) as held:
        record = simulated(run, out, folder)
        held.publish(RESULT, record)
    return record


def simulated(run: RunSpec, out: Path, folder: Path) -> RunRecord:
    """Write the scores of a simulated run into `folder`, and return its record."""
    path = next((out / TEMPLATE).iterdir())
    template, scores = read_run(path / RESULT), read_scores(path)
    assert scores is not None
    folder.mkdir(parents=True, exist_ok=True)
    changed = np.random.default_rng(int(run.id, 16) % 2**32).random(len(scores.correct)) < 0.05
    correct = scores.correct ^ changed
    write_scores(folder, replace(scores, run=run.id, correct=correct))
    accuracy = float(correct.mean())
    return template.model_copy(
        update={
            "id": run.id,
            "spec": run.to_record(),
            "test": template.test.model_copy(update={"accuracy": accuracy}),
        }
    )


def memory() -> float:
    """Return the memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(runs: int, records: int, folder: Path) -> list[Part]:
    """Carry out the parts in `folder`, and return their times."""
    parts, began = list[Part](), time.perf_counter()

    def ended(name: str) -> None:
        nonlocal began
        parts.append(Part(name, time.perf_counter() - began, memory()))
        print(f"{name:<50} {parts[-1].seconds:8.1f} s  {parts[-1].memory:8.0f} MB", flush=True)
        began = time.perf_counter()

    out = folder / "study"
    study = study_of(runs)
    data = open_study(study, out, MACHINE, Watch())
    spec = study.runs(data.fingerprint)[0]
    execute(spec, data, out / TEMPLATE / spec.id, MACHINE)
    with sole_user(out):
        begun = begin_study(study, data, out, MACHINE, "", Watch())
        ended("one run for real, and the latencies of 20 networks")
        with RayCluster(None, Need(memory=0.1)) as cluster:
            ended("Ray starts")
            done = 0
            for _, result in carry_out(
                begun.runs, pretend, lambda run: run, data, out, MACHINE, cluster, Watch()
            ):
                assert isinstance(result, RunRecord), result
                done += 1
                if done == len(begun.runs) // 10:
                    ended(f"the first {done:,} runs")
            ended(f"the other {len(begun.runs) - done // 10:,} runs")
    report = build_report(out).report
    ended(f"the report, {report.stat().st_size / 1e6:.1f} MB")
    more = folder / "more"
    many = study_of(records)
    (more / TEMPLATE).parent.mkdir(parents=True)
    (more / TEMPLATE).symlink_to(out / TEMPLATE)
    with sole_user(more):
        begun = begin_study(many, data, more, MACHINE, "", Watch())
        for run in begun.runs:
            record = simulated(run, more, more / RUNS / run.id)
            write_json(more / RUNS / run.id / RESULT, record.to_json())
    ended(f"{len(begun.runs):,} records written")
    read_study(more)
    ended(f"{len(begun.runs):,} records read")
    return parts


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="foveate-many-") as name:
        parts = measure(given.runs, given.records, Path(name))
    found = {part.name: {"seconds": part.seconds, "memory_mb": part.memory} for part in parts}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
