"""Networks by name: timm's, torchvision's, and the names that foveate registers with timm."""
