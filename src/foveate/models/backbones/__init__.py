"""Networks by name: timm's, torchvision's, and the names that foveate registers with timm.

- `names`: which names there are; `create`: a network by its name; `torchvision`: torchvision's classifiers;
  `cifar_resnet`: foveate's own.
- `registered`: the names BACKBONE_MECHANISM; `scaling`: wider and deeper networks.
- `head`: the classifier head; `preprocessing`: how images are prepared; `call`: what built a network.
"""
