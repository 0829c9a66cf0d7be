"""What the command lines of `attention_price.py` and `compiled_price.py` have in common."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence

from foveate.errors import RequestError, WorkError
from price_networks import MECHANISMS

__all__ = ["carry_out", "read_attention", "say"]


def read_attention(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Make a list of --attention; an unknown mechanism is an error of the command line."""
    given.attention = given.attention.split(",")
    if unknown := set(given.attention) - set(MECHANISMS):
        parser.error(f"--attention {','.join(unknown)}: expected some of {','.join(MECHANISMS)}")


def carry_out(
    script: str,
    parse: Callable[[Sequence[str]], argparse.Namespace],
    run: Callable[[argparse.Namespace, str], None],
    arguments: Sequence[str] | None,
) -> int:
    """Run a script of this folder; `run` also gets its command as one types it.

    Return 0, 1 if the proof or the work failed, 2 if the request was wrong.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parse(arguments)
    try:
        run(given, shlex.join(["python", f"benchmarks/{script}", *arguments]))
    except (RequestError, WorkError) as error:
        say(f"error: {error}")
        return 2 if isinstance(error, RequestError) else 1
    return 0


def say(what: str) -> None:
    """Print progress to standard error; standard output has the figures."""
    print(what, file=sys.stderr, flush=True)
