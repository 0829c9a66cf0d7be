"""The built-ins whose known variants foveate has. Imports no torch."""

from foveate.errors import RequestError

__all__ = ["COMPARABLE", "check_builtin"]

COMPARABLE = ("a2", "bam", "ca", "cbam", "eca", "se", "simam")


def check_builtin(name: str) -> None:
    """Raise RequestError for a mechanism whose variants are not known."""
    if name not in COMPARABLE:
        raise RequestError(
            f"--like {name}: foveate knows no variants of it. Choices: {', '.join(COMPARABLE)}."
        )
