"""`foveate transfer`: trained networks on another set of images."""
