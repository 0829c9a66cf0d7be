"""`python -m foveate.cli`: the command line without an installed script."""

from foveate_command import main

__all__: list[str] = []

main()
