"""The start of the command `foveate`: whoever interrupts it while it imports torch gets no traceback.

It stands beside the package, because importing any part of that imports torch, which takes seconds.
"""

import os
import signal
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line (see foveate.cli.main); Ctrl-C before it has started ends with status 130."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    from foveate.cli.main import main as run

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(*_: Any) -> None:
    # At once: an exception would come out of the middle of some import, as that import's own failure.
    os.write(2, b"foveate: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
