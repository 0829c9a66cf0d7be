"""Measure the latency that each mechanism adds to a network, as ratios within one run.

First, every kernel path is compared with the equations, by the tests of the kernels and at the timed shapes
and dtypes. If one differs, no figure is printed and the exit status is 1. Then, for each mechanism, the
baseline, foveate's fastest path, its reference path, and timm's layer at the same sites take one step each in
turns. On a CPU, inference is timed in float32; on a GPU, inference (of one image as a captured graph) and
training steps, in bfloat16 and channels_last.

    python benchmarks/attention_price.py --write docs/performance.md
    python benchmarks/attention_price.py --device cpu --threads 2 --attention dmsca,sgfa --seconds 20
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

import performance_page
import price_goals
import price_proof
from foveate.errors import WorkError
from foveate.files import write_json, write_text
from foveate.profiling.spec import ProfileSpec
from foveate.records.environment import Environment
from foveate.studies.engine.environment import describe_environment
from price_command import carry_out, read_attention, say
from price_measure import find_version, measure, time_first_use
from price_networks import MECHANISMS, Case, list_cases


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--threads", type=int, help="CPU threads; by default OMP_NUM_THREADS, or one per core"
    )
    parser.add_argument("--seconds", type=float, default=40, help="seconds of each comparison; by default 40")
    parser.add_argument("--attention", default=",".join(MECHANISMS), help="mechanisms, separated by commas")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--sgfa-backbone", default="convnext_tiny", help="the backbone of SGFA")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="by default 1 8 on a CPU, 1 256 on a GPU")
    parser.add_argument("--quick-check", action="store_true", help="a few equality tests, without pytest")
    parser.add_argument(
        "--skip-first-use", action="store_true", help="do not measure how long compiling takes"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page, docs/performance.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    given = parser.parse_args(arguments)
    read_attention(parser, given)
    return given


def prove(given: argparse.Namespace, cases: Sequence[tuple[Case, ProfileSpec]], device: torch.device) -> str:
    """Prove that all kernel paths are equal, in tests and as they are timed; return what was done."""
    if device.type == "cpu":
        price_proof.check_kernels_load(given.attention)
    say("equality: the tests")
    proof = (
        price_proof.check_every_path(given.attention, device)
        if given.quick_check
        else price_proof.run_equality_tests(device)
    )
    for case, spec in cases:
        say(f"equality: {case.name}")
        price_proof.check_network(spec, spec.attention[1])
    return proof


def run(given: argparse.Namespace, command: str) -> None:
    """Prove, measure, print and write."""
    gpu = given.device == "cuda" or (given.device == "auto" and torch.cuda.is_available())
    device = torch.device("cuda" if gpu else "cpu")
    if gpu:
        torch.backends.cudnn.benchmark = True  # so that the baseline is as fast as possible, too
    page = given.write.read_text(encoding="utf-8") if given.write and given.write.exists() else ""
    performance_page.read_sections(page)  # refuses a file of another origin before any work
    cases = [(case, case.spec(device, given.threads, given.seconds)) for case in list_cases(given, gpu)]
    threads = cases[0][1].threads
    torch.set_num_threads(threads)
    try:
        record = _record(given, command, describe_environment(device, threads), prove(given, cases, device))
    except WorkError as error:
        raise WorkError(f"no figure is printed, for equality was not shown: {error}") from error
    for case, spec in cases:
        say(f"timing: {case.name}")
        found = measure(case, spec)
        record["comparisons"].append(found)
        print(f"{case.name}\n  {price_goals.in_a_line(found)}", flush=True)
        compiles = {"numba", "triton"} & {site["path"] for site in found["paths"]}
        if compiles and not given.skip_first_use and case.mechanism not in record["first_use_seconds"]:
            record["first_use_seconds"][case.mechanism] = time_first_use(case.mechanism, device, case.dtype)
    if given.json:
        write_json(given.json, record)
    if given.write:
        awaited = [] if gpu else list_cases(given, gpu=True)
        write_text(given.write, performance_page.put_section(page, record, awaited))
        say(f"written: {given.write}")


def _record(given: argparse.Namespace, command: str, environment: Environment, proof: str) -> dict[str, Any]:
    return {
        "benchmark": "attention_price",
        "environment": environment.to_json() | {name: find_version(name) for name in ("numba", "triton")},
        "date": date.today().isoformat(),
        "command": command,
        "proof": proof,
        "seconds": given.seconds,
        "comparisons": [],
        "first_use_seconds": {},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 if kernel paths differ or the work failed, 2 if the request was wrong."""
    return carry_out("attention_price.py", parse, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
