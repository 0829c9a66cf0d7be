"""`python -m foveate.run SCRIPT ARGS…`: run a script with foveate's names registered with timm.

timm's own train.py, validate.py and benchmark.py create a network by its name and import only timm. Run by
this module they find resnet50_dmsca and the other names; the exit status is that of the script. With several
processes: `torchrun --nproc-per-node=2 -m foveate.run train.py ARGS…`.
"""

import runpy
import sys
from pathlib import Path
from typing import NoReturn

from foveate.models.backbones import registry  # noqa: F401  registers the names

__all__ = ["main"]

USAGE = """usage: python -m foveate.run SCRIPT ARGS…
such as: python -m foveate.run train.py --model resnet50_dmsca"""


def main(arguments: list[str]) -> None:
    """Run the first of `arguments` as a script with the others, or exit with status 2 if there is none."""
    if not arguments or arguments[0].startswith("-"):
        _refuse(f"the first argument must be a script, got {arguments[0] if arguments else 'nothing'}")
    script = Path(arguments[0])
    if not script.is_file():
        _refuse(f"there is no script {str(script)!r} in {Path.cwd()}: give the path of a Python file")
    sys.argv = arguments
    sys.path[0] = str(script.resolve().parent)  # as `python SCRIPT` does
    runpy.run_path(str(script), run_name="__main__")


def _refuse(reason: str) -> NoReturn:
    print(f"foveate: {reason}\n{USAGE}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
