"""Typed records of everything that foveate keeps on disk: their file names, versions, reading and writing."""
