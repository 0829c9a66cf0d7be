"""`foveate look`: a local page where a person gives an image and sees where every trained network looks."""

from foveate.look.serve import serve

__all__ = ["serve"]
