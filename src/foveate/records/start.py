"""How the runs of a study start from pretrained weights: a part of study.json."""

from foveate.records.base import Count, Number, Record, Text

__all__ = ["Start", "WeightsRecord"]


class WeightsRecord(Record):
    """A file of pretrained weights, and the images that it is for.

    Attributes:
        backbone: the network that it is of.
        file: its path on the machine of the study.
        sha256: its checksum.
        mean: of each channel of the images, in 0..1, by which the study's images are normalised.
        std: likewise.
        image_size: side of the images in pixels.
    """

    backbone: Text
    file: Text
    sha256: Text
    mean: tuple[Number, ...]
    std: tuple[Number, ...]
    image_size: Count


class Start(Record):
    """What the candidates of a study start from, and which of them start as the network without attention.

    Attributes:
        weights: the files, one for each backbone.
        as_baseline: labels of the candidates whose attention has no effect before it is trained.
        from_untrained_gates: labels of those whose attention changes the network from the first step on.
    """

    weights: tuple[WeightsRecord, ...]
    as_baseline: tuple[Text, ...]
    from_untrained_gates: tuple[Text, ...] = ()
