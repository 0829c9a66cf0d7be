"""The command line: its commands, its errors and its exit status."""

import sys
from collections.abc import Callable

from cyclopts import App, CycloptsError, Group, UnusedCliTokensError

from foveate.cli.check import check
from foveate.cli.completion import make_completion
from foveate.cli.epilogues import epilogue
from foveate.cli.examine import deploy, explain, look, robustness, transfer
from foveate.cli.flags import FLAG
from foveate.cli.fold import fold
from foveate.cli.networks import export, list_mechanisms, list_sites, profile
from foveate.cli.process import (
    INTERRUPTED,
    TERMINATED,
    Terminated,
    describe_os_error,
    escape_unencodable,
    flush_streams,
    is_wrong_request,
    print_error,
    terminable,
)
from foveate.cli.reporting import report
from foveate.cli.studies import ablate, compare, plan, sweep
from foveate.errors import RequestError, WorkError, answering_a_command
from foveate.extras import without_bench
from foveate.version import __version__

__all__ = ["app", "main"]

RESUMING = ("compare", "ablate", "sweep", "explain", "robustness", "transfer", "deploy")
"""Commands that resume what was interrupted."""

app = App(
    name="foveate",
    help="Is an attention module worth it in your convolutional network, which one, and at what price?",
    help_flags=["--help", "-h"],
    help_format="plaintext",
    version=f"foveate {__version__}",
    version_flags=["--version"],
    default_parameter=FLAG,
    group_parameters=Group("Options", sort_key=0),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
COMMANDS: dict[str, Callable[..., int]] = {
    "compare": compare,
    "ablate": ablate,
    "sweep": sweep,
    "plan": plan,
    "explain": explain,
    "robustness": robustness,
    "transfer": transfer,
    "deploy": deploy,
    "look": look,
    "profile": profile,
    "check": check,
    "report": report,
    "export": export,
    "fold": fold,
    "list": list_mechanisms,
    "sites": list_sites,
    "completion": make_completion(app),
}
for place, (name, command) in enumerate(COMMANDS.items()):
    app.command(command, name=name, sort_key=place, help_format="markdown", help_epilogue=epilogue(name))


def main() -> None:
    """Run the command line and exit.

    Status 0 done, 1 the work failed, 2 the request was wrong, 130 interrupted, 143 terminated.
    """
    with terminable(), answering_a_command():
        status = _run()
    sys.exit(flush_streams(status))


def _run() -> int:
    escape_unencodable()
    arguments = sys.argv[1:]
    if not arguments:
        app.help_print([])
        return 2
    try:
        return app(arguments) or 0
    except UnusedCliTokensError as error:
        print_error(f"unexpected arguments: {' '.join(map(str, error.unused_tokens or ()))}")
        return 2
    except (CycloptsError, RequestError) as error:
        print_error(error)
        return 2
    except WorkError as error:
        print_error(error)
        return 1
    except ModuleNotFoundError as error:
        if (sentence := without_bench(error)) is None:
            raise
        print_error(sentence)
        return 2
    except BrokenPipeError:  # the reader has gone: flush_streams deals with it
        return 1
    except OSError as error:  # a path that no file system takes, a folder that may not be read
        print_error(describe_os_error(error))
        return 2 if is_wrong_request(error) else 1
    except Terminated:
        print_error(f"terminated{_how_to_resume()}")
        return TERMINATED
    except KeyboardInterrupt:
        print_error(f"interrupted{_how_to_resume()}")
        return INTERRUPTED


def _how_to_resume() -> str:
    return "; give the same command again to resume" * bool(set(sys.argv[1:2]) & set(RESUMING))
