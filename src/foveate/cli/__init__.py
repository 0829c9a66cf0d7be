"""The command line: flags in, records out to the terminal; no logic."""
