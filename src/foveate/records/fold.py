"""The record of `foveate fold`: which attention became a constant, what that lost, and what it saved."""

from typing import Literal

from foveate.records.base import Count, Number, Record, Switch, Text
from foveate.records.cost import CostRow, Timing
from foveate.records.environment import Environment
from foveate.records.examination import ExaminedNetwork

__all__ = [
    "FoldCost",
    "FoldData",
    "FoldDeciding",
    "FoldLayer",
    "FoldNetwork",
    "FoldRecord",
    "FoldSettingsRecord",
    "FoldSite",
    "FoldTest",
]


class FoldSettingsRecord(Record):
    """The settings of the command; `max_loss` is a share of the images."""

    max_loss: Number
    limit: Count
    batch_size: Count


class FoldData(Record):
    """The images: their set and its fingerprint. The constants are from the training images that decide."""

    name: Text
    fingerprint: Text


class FoldNetwork(ExaminedNetwork):
    """The network before folding.

    Attributes:
        digest: of its weights.
        own_removed: the places of attention of the backbone's own that it does without.
    """

    digest: Text
    own_removed: tuple[Text, ...] = ()


class FoldLayer(Record):
    """A layer whose weights took constants: on the channels that it gives, or on those that it reads."""

    path: Text
    side: Literal["output", "input"]


class FoldSite(Record):
    """What became of the attention at one site.

    Attributes:
        site: its name in `foveate sites`.
        path: of the module that the attention was attached to.
        became: "folded" into `layers`; "scale", a scale for each channel; "kept", because the loss would be
            too large; "excluded", because it cannot be folded at any loss.
        layers: those that took the constants.
        loss_alone: what accuracy loses with the constants at this site alone, on the deciding part that loses
            more.
        loss_together: the same with those at the sites that were folded before it, too.
        reason: why it was excluded, a clause.
    """

    site: Text
    path: Text
    became: Literal["folded", "scale", "kept", "excluded"]
    layers: tuple[FoldLayer, ...] = ()
    loss_alone: Number | None = None
    loss_together: Number | None = None
    reason: Text | None = None


class FoldDeciding(Record):
    """Accuracy on one of the parts by which the sites were chosen.

    Attributes:
        part: whose images these are.
        images: their number.
        before: of the network as it was.
        after: of the folded network; None where nothing was folded.
    """

    part: Literal["validation", "training"]
    images: Count
    before: Number
    after: Number | None = None


class FoldTest(Record):
    """The test part, evaluated once before and once after; accuracies are shares of the images.

    Attributes:
        images: their number.
        before: accuracy of the network as it was.
        before_ci95: its 95 % interval (Wilson).
        after: accuracy of the folded network.
        after_ci95: its 95 % interval.
        lost: images that only the network as it was has right.
        gained: images that only the folded one has right.
        difference: after minus before.
        difference_ci95: its 95 % interval, paired by image (Tango).
    """

    images: Count
    before: Number
    before_ci95: tuple[Number, Number]
    after: Number
    after_ci95: tuple[Number, Number]
    lost: Count
    gained: Count
    difference: Number
    difference_ci95: tuple[Number, Number]


class FoldCost(Record):
    """What both networks cost; latency at batch 1, in turns. Ratios are to the network as it was."""

    input: tuple[Count, ...]
    device: Text
    timing: Timing
    before: CostRow
    after: CostRow


class FoldRecord(Record):
    """fold.json, beside the folded weights.

    Attributes:
        deciding: the parts by which the sites were chosen.
        sites: all that had attention, in the order of the network.
        order: the paths of the folded sites, in the order in which that was decided.
        test: None where nothing was folded: the test part is then not evaluated.
        cost: None likewise.
        largest_difference: of a logit between the folded network and the one with the constants in place of
            its gates, on validation images, as a share of the largest logit.
        file: the name of the folded weights, beside the record; None where nothing was folded.
        backbone: the name of the backbone in that file.
        is_plain: whether `file` has the keys and the modules of that backbone and no others.
        warnings: what a reader must know, in sentences.
    """

    format: Count
    foveate: Text
    kind: Literal["fold"]
    command: Text
    environment: Environment
    settings: FoldSettingsRecord
    data: FoldData
    network: FoldNetwork
    deciding: tuple[FoldDeciding, ...]
    sites: tuple[FoldSite, ...]
    order: tuple[Text, ...]
    test: FoldTest | None = None
    cost: FoldCost | None = None
    largest_difference: Number | None = None
    file: Text | None = None
    backbone: Text | None = None
    is_plain: Switch = False
    warnings: tuple[Text, ...] = ()
