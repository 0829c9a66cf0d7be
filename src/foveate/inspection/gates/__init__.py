"""`foveate explain --gates`: whether the gates of trained attention react to the image."""
