"""What a study says of its folder and of its runs; tests of several folders share it."""

from typing import Any

from foveate.studies.engine.watch import Watch

__all__ = ["Notes"]


class Notes(Watch):
    """Writes down what is said of the folder, and which runs are carried out."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def finished(self, run: str, *_: Any, **__: Any) -> None:
        self.done.append(run)
