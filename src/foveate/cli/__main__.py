"""`python -m foveate.cli`: the command line without an installed script."""

from foveate.cli.main import main

__all__: list[str] = []

main()
