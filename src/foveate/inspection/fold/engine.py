"""`foveate fold`: fold the attention of one trained network, test it before and after, and write it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from foveate.data import Data
from foveate.errors import RequestError, WorkError
from foveate.inspection.classifiers import check_classifiers
from foveate.inspection.examine import Work
from foveate.inspection.fold.answers import Answers, paired_test_part
from foveate.inspection.fold.cost import measure_fold_cost
from foveate.inspection.fold.images import FoldImages, choose_images
from foveate.inspection.fold.settings import FoldFiles, FoldSettings
from foveate.inspection.images import ChosenImages
from foveate.inspection.settings import OtherImages
from foveate.inspection.trained import Trained, assumed_order, open_images
from foveate.models.backbones.call import BackboneCall
from foveate.models.backbones.names import registered_names
from foveate.models.checkpoint.save_load import AUTO, save
from foveate.models.folding.folding import Folded, FoldedSite, fold
from foveate.models.sites.gates import Gate, constant_gates
from foveate.models.sites.own import removed_own
from foveate.notation import listing
from foveate.records.base import FORMAT
from foveate.records.file_names import FOLD
from foveate.records.files import write_record
from foveate.records.fold import (
    FoldData,
    FoldDeciding,
    FoldLayer,
    FoldNetwork,
    FoldRecord,
    FoldSettingsRecord,
    FoldSite,
)
from foveate.version import __version__

__all__ = ["fold_trained"]

LARGEST_DIFFERENCE = 1e-3
"""Of the largest logit, between the folded network and its constants: rounding in float32 stays far below."""
FEW_IMAGES = 1000
"""With fewer deciding images, a record says what one of them is worth."""


def fold_trained(work: Work, settings: FoldSettings, others: OtherImages, files: FoldFiles) -> Path:
    """Fold the only network of `work`, write its weights and its record, and return the record's path.

    The constants are taken over training images. Sites are folded while accuracy on the validation images of
    the network's run, and on these training images, loses at most the margin. The test part is evaluated
    twice: before and after. Where no site can be folded, no weights are written and the test part is not
    evaluated.

    Raises:
        RequestError: several networks, no attention, or images that do not fit the network.
        WorkError: the folded network is not what it was folded from; it is not written.
    """
    one = _only(work.trained)
    data = open_images([one], others.data, **others.columns)
    images = choose_images(one, data, settings.limit)
    answers = Answers(one, work.device, settings.batch_size)
    network = one.network(work.device)
    before = [answers.accuracy(network, part) for part in images.deciding]
    folded = fold(
        network,
        answers.prepared(images.means),
        lambda some: _least_gain(answers, some, images, before),
        max_loss=settings.max_loss / 100,
        on_step=lambda what, done, total: work.on_progress(f"{FOLD}: {what}", done, total, one.name),
    )
    record = FoldRecord(
        format=FORMAT,
        foveate=__version__,
        kind=FOLD,
        command=work.command,
        environment=work.environment,
        settings=FoldSettingsRecord(
            max_loss=settings.max_loss / 100, limit=settings.limit, batch_size=settings.batch_size
        ),
        data=FoldData(name=data.name, fingerprint=data.fingerprint),
        network=FoldNetwork(
            name=one.name,
            label=one.label,
            seed=one.seed,
            backbone=one.backbone,
            digest=one.digest,
            own_removed=tuple(removed_own(network)),
        ),
        deciding=tuple(
            FoldDeciding(part=_name(part), images=len(part), before=accuracy)
            for part, accuracy in zip(images.deciding, before, strict=True)
        ),
        sites=tuple(map(_site, folded.sites)),
        order=folded.order,
        warnings=_warnings(one, data, images),
    )
    if folded.order:
        record = _measured(record, network, folded, images, answers, work, settings)
        _write(network, folded, files.weights)
        record = record.model_copy(update=_described(network, folded, files.weights))
    elif files.weights.exists():
        earlier = f"{files.weights} was there before, and is not of this network with these settings."
        record = record.model_copy(update={"warnings": (*record.warnings, earlier)})
    write_record(files.record, record)
    return files.record


def _only(trained: list[Trained]) -> Trained:
    if len(trained) != 1:
        names = listing([one.name for one in trained])
        raise RequestError(f"{names} were given, and one network is folded at a time: give one run or file")
    check_classifiers(trained, "foveate fold", "it decides by the share of right answers")
    if not trained[0].mechanisms:
        raise RequestError(
            f"{trained[0].name} has no attention that could be folded: give a network that foveate put "
            "attention into"
        )
    return trained[0]


def _least_gain(answers: Answers, network: nn.Module, images: FoldImages, before: Sequence[float]) -> float:
    """Return what accuracy gains over `before`, on the deciding part that gains least."""
    return min(
        answers.accuracy(network, part) - accuracy
        for part, accuracy in zip(images.deciding, before, strict=True)
    )


def _name(images: ChosenImages) -> Literal["validation", "training"]:
    assert images.part != "test"
    return images.part


def _warnings(one: Trained, data: Data, images: FoldImages) -> tuple[str, ...]:
    """Say what a reader must know of the images that decide."""
    said = []
    if images.validation is None:
        said.append(
            f"{data.name} has no validation part of {one.name}: training images alone decided. On images "
            "that a network has learned, less seems to be lost."
        )
    elif len(images.validation) < FEW_IMAGES:
        number = len(images.validation)
        said.append(
            f"There are {number:,} validation images: one of them is {100 / number:.2f} points of accuracy."
        )
    return tuple(filter(None, (*said, assumed_order([one], data.classes))))


def _site(one: FoldedSite) -> FoldSite:
    return FoldSite(
        site=one.site,
        path=one.path,
        became=one.became,
        layers=tuple(FoldLayer(path=layer.path, side=layer.side) for layer in one.layers),
        loss_alone=one.loss_alone,
        loss_together=one.loss_together,
        reason=one.reason,
    )


def _measured(
    record: FoldRecord,
    network: nn.Module,
    folded: Folded,
    images: FoldImages,
    answers: Answers,
    work: Work,
    settings: FoldSettings,
) -> FoldRecord:
    """Return the record with what both networks reach and cost."""
    with constant_gates(network, _held(network, folded)):
        expected, _ = answers.logits(network, images.deciding[0])
    got, _ = answers.logits(folded.network, images.deciding[0])
    largest = max(expected.abs().max().item(), torch.finfo(expected.dtype).tiny)
    difference = (got - expected).abs().max().item() / largest
    if difference > LARGEST_DIFFERENCE:
        raise WorkError(
            f"the folded {record.network.name} answers otherwise than with constants in place of its gates, "
            f"by {difference:.1g} of the largest logit, and is not written. This is a fault of foveate: "
            "please report it, with the backbone and the sites"
        )
    right = []
    for done, tested in enumerate((network, folded.network)):
        work.on_progress(f"{FOLD}: test part", done, 2, record.network.name)
        right.append(answers.right(tested, images.test))
    cost = measure_fold_cost(
        network,
        folded.network,
        (1, *answers.trained.input_size),
        work.device,
        settings.seconds,
        lambda done, total: work.on_progress(f"{FOLD}: latency", done, total, record.network.name),
    )
    return record.model_copy(
        update={
            "deciding": tuple(
                one.model_copy(update={"after": answers.accuracy(folded.network, part)})
                for one, part in zip(record.deciding, images.deciding, strict=True)
            ),
            "test": paired_test_part(*right),
            "cost": cost,
            "largest_difference": difference,
        }
    )


def _held(network: nn.Module, folded: Folded) -> dict[Gate, torch.Tensor]:
    """Return the constants of the folded sites by their gates, (C, 1, 1), as maps of `network` take them."""
    like = next(network.parameters())
    return {
        one.gate: one.constants.to(like.device, like.dtype)[:, None, None]
        for one in folded.sites
        if one.is_constant and one.constants is not None
    }


def _call(network: nn.Module) -> BackboneCall | None:
    """Return the call that builds the backbone of `network`: of resnet50_dmsca that is resnet50."""
    call: BackboneCall | None = getattr(network, "built_from", None)
    if call is not None and (registered := registered_names().get(call.name)):
        return BackboneCall(registered.backbone, call.args)
    return call


def _write(network: nn.Module, folded: Folded, file: Path) -> None:
    call = _call(network)
    if call is None:
        save(folded.network, file, backbone=AUTO)
    else:
        save(folded.network, file, backbone=call.name, backbone_args=call.args)


def _described(network: nn.Module, folded: Folded, file: Path) -> dict[str, object]:
    """Return the fields of the record that describe the written file."""
    call = _call(network)
    is_plain = folded.is_plain and call is not None and not removed_own(network)
    return {"file": file.name, "backbone": call and call.name, "is_plain": is_plain}
