"""The names of the methods of class activation maps; this module imports neither torch nor the package."""

from foveate.errors import RequestError, unknown_name

__all__ = ["METHODS", "check_method"]

METHODS = {
    "gradcam++": "GradCAMPlusPlus",
    "gradcam": "GradCAM",
    "hirescam": "HiResCAM",
    "eigencam": "EigenCAM",
}
"""The methods, each with the name of its class in the package."""


def check_method(method: str) -> str:
    """Return `method` if it is the name of a method, else raise RequestError."""
    if method not in METHODS:
        raise RequestError(unknown_name("method", str(method), METHODS))
    return method
