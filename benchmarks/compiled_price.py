"""Compare compiled networks with eager ones on a CPU: the baseline, the equations and foveate's.

Each compiled network is first compiled in its own process, without results of earlier compilations, and
compared with its uncompiled form: its output and, in training, all gradients. Nothing is timed where they
differ. Then all networks of a case take one step each in turns within one process, which takes what was
compiled from disk, so that each ratio is one within a round. On a GPU `on_gpu.py` measures these networks.

    python benchmarks/compiled_price.py --write docs/performance.md --json build/bench/compiled_price.json
    python benchmarks/compiled_price.py --attention dmsca --mode inference --batch-sizes 1 --seconds 5
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

import performance_page
from compiled_goals import CompiledComparison, compiled_in_lines
from compiled_measure import describe, in_new_process, prove_alone, take_turns_compiled
from compiled_networks import EAGER, FORMS, Proof, list_contenders
from foveate.files import write_json, write_text
from foveate.profiling.spec import ProfileSpec
from foveate.studies.engine.environment import describe_environment
from price_command import carry_out, read_attention, say
from price_measure import find_version
from price_networks import BASELINE, Case

MODES = ("inference", "training")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--threads", type=int, help="CPU threads; by default OMP_NUM_THREADS, or one per core"
    )
    parser.add_argument("--seconds", type=float, default=40, help="seconds of each comparison; by default 40")
    parser.add_argument("--attention", default="dmsca,cbam", help="mechanisms, separated by commas")
    parser.add_argument("--mode", nargs="+", default=MODES, choices=MODES, help="by default both")
    parser.add_argument("--forms", nargs="+", default=tuple(FORMS), choices=FORMS, help="by default all")
    parser.add_argument("--backbone", default="resnet50", help="of inference")
    parser.add_argument("--sgfa-backbone", default="convnext_tiny", help="of inference with SGFA")
    parser.add_argument("--image-size", type=int, default=224, help="of inference")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=(1, 8), help="of inference")
    parser.add_argument("--training-backbone", default="cifar_resnet20")
    parser.add_argument("--training-image-size", type=int, default=32)
    parser.add_argument("--training-batch-size", type=int, default=128)
    parser.add_argument(
        "--memory-format",
        default="contiguous",
        choices=("contiguous", "channels_last"),
        help="of all networks",
    )
    parser.add_argument("--backend", default="inductor", help="of torch.compile; by default inductor")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into docs/performance.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    given = parser.parse_args(arguments)
    read_attention(parser, given)
    return given


def list_cases(given: argparse.Namespace) -> list[Case]:
    """List the comparisons; SGFA is compared in inference only."""
    cases = []
    for mechanism in given.attention:
        backbone = given.sgfa_backbone if mechanism == "sgfa" else given.backbone
        forms = [("inference", backbone, given.image_size, batch) for batch in given.batch_sizes]
        if mechanism != "sgfa":
            side, batch = given.training_image_size, given.training_batch_size
            forms.append(("training", given.training_backbone, side, batch))
        cases += [
            Case(mechanism, network, side, batch, given.memory_format, "float32", mode, graph=False)
            for mode, network, side, batch in forms
            if mode in given.mode
        ]
    return cases


def compare(
    case: Case,
    spec: ProfileSpec,
    given: argparse.Namespace,
    folder: Path,
    proved: dict[tuple[Any, ...], Proof],
) -> CompiledComparison:
    """Prove each compiled network of a case, and measure all in turns.

    `folder` keeps what was compiled. `proved` has the proofs by what was compiled: several mechanisms share a
    baseline.
    """
    forms = [form for form in given.forms if form != "freezing" or case.mode == "inference"]
    folders, proofs = {}, {}
    for one in list_contenders(forms):
        form = case._replace(mechanism=BASELINE) if one.network == BASELINE else case
        key = (*form, *one)
        folders[one] = folder / "-".join(map(str, key))
        if one.form != EAGER:
            if key not in proved:
                say(f"compiling: {' '.join(one)}: {case.name}")
                proved[key] = in_new_process(prove_alone, spec, one, given.backend, folders[one])
            proofs[one] = proved[key]
    say(f"timing: {case.name}")
    turns, contenders = in_new_process(take_turns_compiled, spec, folders, given.backend)
    return describe(case, turns, contenders, proofs)


def run(given: argparse.Namespace, command: str) -> None:
    """Prove, measure, print and write."""
    page = given.write.read_text(encoding="utf-8") if given.write and given.write.exists() else ""
    performance_page.read_sections(page)  # refuses a file of another origin before any work
    device = torch.device("cpu")
    cases = [(case, case.spec(device, given.threads, given.seconds)) for case in list_cases(given)]
    threads = cases[0][1].threads
    environment = describe_environment(device, threads).to_json()
    record: dict[str, Any] = {
        "benchmark": "compiled_price",
        "environment": environment | {name: find_version(name) for name in ("numba", "triton")},
        "date": date.today().isoformat(),
        "command": command,
        "seconds": given.seconds,
        "comparisons": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        proved: dict[tuple[Any, ...], Proof] = {}
        for case, spec in cases:
            found = compare(case, spec, given, Path(folder), proved)
            record["comparisons"].append(found)
            print("\n".join([case.name, *compiled_in_lines(found)]), flush=True)
    if given.json:
        write_json(given.json, record)
    if given.write:
        write_text(given.write, performance_page.put_compiled(page, record))
        say(f"written: {given.write}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 if a compiled network differs or the work failed, 2 if the request was wrong."""
    return carry_out("compiled_price.py", parse, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
