"""The failure of one network, which does not stop the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from foveate.errors import DiskError, in_words

__all__ = ["one_network"]


@contextmanager
def one_network(exclude: Callable[[str], None]) -> Iterator[None]:
    """Hand the exception that one network raises to `exclude`, in one line, instead of raising it.

    A full disk, and a device whose memory is too small, concern every network: these are raised.
    """
    try:
        yield
    except (DiskError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        exclude(in_words(error))
