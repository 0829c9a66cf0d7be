"""The options of a candidate's mechanism with their defaults."""

import inspect
from collections.abc import Mapping

from foveate.errors import RequestError, unknown_name
from foveate.known_names import OptionDefault, mechanism_options
from foveate.records.labels import BASELINE
from foveate.studies.spec.candidate import Candidate

__all__ = ["option_defaults", "unknown_option"]


def option_defaults(candidate: Candidate) -> Mapping[str, OptionDefault]:
    """Return the options of the mechanism with their defaults; None for one that must be given.

    A class of a person's own is imported for that, and torch with it. Raises RequestError if that fails.
    """
    if not candidate.is_custom:
        return mechanism_options(candidate.name)
    from foveate.attention import find_custom

    own = find_custom(candidate.mechanism)
    if own is None:
        raise RequestError(f"{candidate.name} is no class of your own")
    return {
        name: None if one.default is inspect.Parameter.empty else one.default
        for name, one in own.options.items()
    }


def unknown_option(candidate: Candidate) -> str | None:
    """Return a message on an option that the mechanism does not have; None if there is none.

    The options of a class of a person's own are not known without importing it, and not looked at.
    """
    if candidate.is_custom or candidate.name == BASELINE:
        return None
    known = mechanism_options(candidate.name)
    unknown = next((option for option in candidate.options if option not in known), None)
    return None if unknown is None else unknown_name(f"option of {candidate.name}", unknown, known)
