"""What the conditions are that a robustness record names by short keys: words, strengths and their units."""

from pathlib import PurePath

from foveate.notation import NOTHING, listing
from foveate.records.metric import DETECTION, SEGMENTATION
from foveate.records.robustness import CLEAN, COMMON, UNATTACKED, RobustnessRecord, stated_sigma
from foveate.records.robustness import SEVERITIES as ALL_SEVERITIES
from foveate.records.severities import DEFINITIONS, SEVERITIES, published_set
from foveate.report.core.tables import Cell, Column, Table
from foveate.report.robustness.names import attack_name, corruption_name

__all__ = ["ATTACK_WORDS", "CORRUPTION_WORDS", "SETS", "conditions_table"]

CORRUPTION_WORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gaussian_noise": ("Gaussian noise is added to every value.", ("σ, of a range of 1",)),
    "shot_noise": (
        "Noise of few photons: each value x becomes Poisson(x · c) / c.",
        ("c, photons at full brightness",),
    ),
    "impulse_noise": ("Some of all values are set to 0 or to 1, half each.", ("share of values",)),
    "defocus_blur": ("Blurred by a disk, as by a lens out of focus.", ("radius, px", "σ of its edge, px")),
    "glass_blur": (
        "Blurred, each pixel replaced by one near it, and blurred again, as by frosted glass.",
        ("σ of the blur, px", "reach, px", "rounds"),
    ),
    "motion_blur": ("Blurred along an angle of its own within ±45°.", ("reach, px", "σ, px")),
    "zoom_blur": ("The mean of the image and of its zooms from 1 on.", ("largest zoom, ×", "step")),
    "snow": (
        "Whitened, and flakes added, which are bright spots of noise, smeared downwards.",
        (
            *("mean of the noise", "its σ", "zoom of the flakes, ×", "threshold"),
            *("reach of the smear, px", "its σ, px", "share of the image kept"),
        ),
    ),
    "frost": (
        "A picture of ice is laid over: a · x + b · ice.",
        ("a", "b", "scale of the picture, of 640 px"),
    ),
    "fog": ("A cloud is laid over.", ("thickness", "smoothness of the cloud")),
    "brightness": ("Brighter: the value of HSV is raised.", ("added, of a range of 1",)),
    "contrast": ("Each channel is moved towards its mean.", ("contrast kept",)),
    "elastic_transform": (
        "Three points are moved, then every pixel by a smooth random field.",
        ("move of the pixels, of the side", "σ of the field, of the side", "move of the points, of the side"),
    ),
    "pixelate": ("Shrunk and enlarged again, in squares.", ("side after shrinking, share",)),
    "jpeg_compression": ("Compressed as JPEG and decoded.", ("quality, of 100",)),
}
"""What is done to an image under each corruption, and its strengths in the order of `SEVERITIES`."""
ATTACK_WORDS = {
    "fgsm": "One step of size ε along the sign of the gradient of the loss.",
    "pgd": "20 steps of 2.5 · ε / 20 along the gradient, from a random start within ε.",
    "ensemble": "Three attacks in turn, each on what the ones before did not break: APGD on the "
    "cross-entropy, APGD on the difference of logits ratio, and Square, which needs no gradients.",
}
SETS = {"cifar": "CIFAR-10-C", "tiny": "Tiny-ImageNet-C", "imagenet": "ImageNet-C"}


STAYS = (
    "stay where they are, also under the corruptions that move pixels a little: glass blur, motion blur, "
    "zoom blur and the elastic transform."
)


def conditions_table(record: RobustnessRecord) -> Table | None:
    """Return one row for each condition of `record`: its key, what it does, its strengths; None of none."""
    asked: dict[str, list[int]] = {}
    there = [(row.key.corruption, row.key.severity) for row in record.corruption_rows]
    for name, severity in [*(record.conditions or ()), *there]:
        levels = asked.setdefault(name, [])
        if severity is not None and severity not in levels:
            levels.append(severity)
    attacks: dict[str, list[float]] = {}
    for row in record.attack_rows:
        if row.key.attack != UNATTACKED and row.key.eps is not None:
            values = attacks.setdefault(row.key.attack, [])
            values += [row.key.eps] * (row.key.eps not in values)
    strengths = _strengths(record)
    severities = sorted({level for levels in asked.values() for level in levels}) if strengths else []
    kept = {DETECTION.name: "Boxes", SEGMENTATION.name: "Masks"}.get(record.task.name)
    stays = f"{kept} {STAYS}" if kept else ""
    columns = [
        Column("Condition", "Below, its key in the record and in the CSV files."),
        Column("What is done to an image", stays, is_text=True),
    ]
    if strengths is not None and severities:
        note = (
            "The numbers of the severities, in their order. Severity 1 is the weakest and 5 the strongest; "
            f"strengths are those that {SETS[strengths]} was made with, for images {_sides(record)}."
        )
        columns.append(Column("Strengths", note, is_text=True))
        columns += [Column(f"Severity {level}", is_text=True) for level in severities]
    rows = [_corruption(name, asked[name], severities, strengths, record) for name in _in_order(asked)]
    rows += [_attack(name, sorted(eps)) for name, eps in attacks.items()]
    padded = [row + [Cell(NOTHING)] * (len(columns) - len(row)) for row in rows]
    return (
        Table("robustness_conditions", "The conditions and their strengths", columns, padded)
        if rows
        else None
    )


def _in_order(names: dict[str, list[int]]) -> list[str]:
    """Return clean images first, then the corruptions as they were asked for."""
    return sorted(names, key=lambda name: name != CLEAN)


def _strengths(record: RobustnessRecord) -> str | None:
    """Return the published set whose strengths were used; None where that is not known, or made elsewhere."""
    versions = {row.key.definitions for row in record.corruption_rows} - {None}
    side = record.data.image_size
    sides = record.data.short_sides or (() if side is None else (side,))
    published = {published_set(one, one) for one in sides}
    if record.settings.prepared is not None or len(published) != 1 or versions - {DEFINITIONS}:
        return None
    return published.pop()


def _sides(record: RobustnessRecord) -> str:
    """Write how large the images are that were corrupted."""
    if record.data.short_sides is None:
        return f"of {record.data.image_size} px a side"
    low, high = record.data.short_sides
    return f"whose short side is {low} px" if low == high else f"whose short side is {low} to {high} px"


def _corruption(
    name: str, levels: list[int], severities: list[int], strengths: str | None, record: RobustnessRecord
) -> list[Cell]:
    named = Cell(corruption_name(name), name)
    if name == CLEAN:
        return [named, Cell("Nothing.")]
    if (sigma := stated_sigma(name)) is not None and sigma.replace(".", "", 1).isdecimal():
        grey = f"Gaussian noise is added to every value, of σ = {sigma} grey levels of 255"
        return [named, Cell(f"{grey}, {float(sigma) / 255:.3f} of the range. It has no severity.")]
    if record.settings.prepared is not None:
        folder = PurePath(record.settings.prepared).name
        words = f"Corrupted elsewhere: read from the prepared set {folder}, whose makers chose the strengths."
        return [named, Cell(words)]
    what, parts = CORRUPTION_WORDS.get(name, (NOTHING, ()))
    if strengths is None or name not in COMMON:
        return [named, Cell(what)]
    by_severity = dict(zip(ALL_SEVERITIES, SEVERITIES[strengths][name], strict=True))
    values = [by_severity.get(level, ()) if level in levels else () for level in severities]
    written = ["; ".join(f"{one:.3g}" for one in some) or NOTHING for some in values]
    return [named, Cell(what), Cell("; ".join(parts)), *map(Cell, written)]


def _attack(name: str, eps: list[float]) -> list[Cell]:
    bounds = listing([f"{one:g}/255" for one in eps])
    words = (
        f"{ATTACK_WORDS.get(name, NOTHING)} ε is the most by which any value of a pixel may change (L∞), of "
        f"a range of 1: here {bounds}, that is {listing([f'{one:g}' for one in eps])} grey levels of 255."
    )
    return [Cell(f"{attack_name(name)}, an attack", name), Cell(words)]
