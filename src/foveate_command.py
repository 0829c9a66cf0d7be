"""The start of the command `foveate`: Ctrl-C while the command line is being imported prints no traceback.

This module is outside the package, so that it can act before any part of the package is imported. What takes
seconds to import is imported by the commands themselves (see `foveate.cli.process.loading`).
"""

import os
import signal
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Run the command line (see foveate.cli.main); Ctrl-C before that exits with status 130."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, _end)
    from foveate.cli.main import main as run

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _end(*_: Any) -> None:
    # Exit at once: an exception inside an import would be reported as a failure of that import.
    os.write(2, b"foveate: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
