"""`foveate fold`: attention whose gates are constants becomes part of the layers beside it."""
