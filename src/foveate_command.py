"""The start of the command `foveate`: Ctrl-C while the command line is being imported prints no traceback.

Nor does a machine without the bench, the extra that the command needs: it prints one sentence. How threads
wait for each other is set here, too, because OpenMP reads that when torch is imported.

This module is outside the package, so that it can act before any part of the package is imported. What takes
seconds to import is imported by the commands themselves (see `foveate.cli.process.loading`).
"""

import os
import signal
import sys
from typing import Any

__all__ = ["SET_BY_USER", "WAITING", "main"]

WAITING = {"GOMP_SPINCOUNT": "3000"}
"""How often a thread of GNU's OpenMP, that of torch on Linux, looks for work before it sleeps.

By default it looks for milliseconds, and holds its core meanwhile, so that two programs that train on the
same cores take several times as long. `benchmarks/waiting.py` measures that, and the price of sleeping.
"""
SET_BY_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def main() -> None:
    """Run the command line (see foveate.cli.main).

    Before that, Ctrl-C exits with status 130, and a missing package of the bench with status 2.
    """
    if not any(name in os.environ for name in SET_BY_USER):
        os.environ |= WAITING
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    try:
        from foveate.cli.main import main as run
    except ModuleNotFoundError as error:
        from foveate.extras import without_bench

        if (sentence := without_bench(error)) is None:
            raise
        print(f"foveate: {sentence}", file=sys.stderr)
        sys.exit(2)
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(*_: Any) -> None:
    # Exit at once: an exception inside an import would be reported as a failure of that import.
    os.write(2, b"foveate: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
