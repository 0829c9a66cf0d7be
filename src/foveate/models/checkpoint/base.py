"""The network that an adapter belongs to, as the adapter's file describes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foveate.models.backbones.preprocessing import expect

__all__ = ["Base"]


@dataclass(frozen=True)
class Base:
    """The network that an adapter belongs to. The fields are the keys in the file.

    Attributes:
        name: timm's name, or the class.
        digest: the SHA-256 of the tensors that the adapter does not hold, with their names and shapes.
        output: a few values of the whole network's output for a fixed image; the same weights give others in
            a network of other settings.
    """

    name: str
    digest: str
    output: Sequence[float]

    @classmethod
    def from_json(cls, given: Any) -> "Base":
        """Read what was written; RequestError for other keys or types."""
        keys = isinstance(given, dict) and set(given) == {"name", "digest", "output"}
        expect(keys, "base", given, "an object with name, digest and output")
        texts = isinstance(given["name"], str) and isinstance(given["digest"], str)
        expect(texts, "base", given, "a name and a digest that are texts")
        numbers = isinstance(given["output"], list) and all(type(one) is float for one in given["output"])
        expect(numbers, "base's output", given["output"], "a list of numbers")
        return cls(**given)
