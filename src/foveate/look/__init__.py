"""`foveate look`: a local page that shows for an image where each trained network looks."""

from foveate.look.serve import serve

__all__ = ["serve"]
