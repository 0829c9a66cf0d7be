"""`foveate export`: the file of a trained network, calibrated with its own images where it is quantised."""

from collections.abc import Callable, Sequence
from pathlib import Path

from foveate.inspection.deployment.calibration import Calibration, find_calibration
from foveate.inspection.deployment.settings import ExportSettings
from foveate.inspection.settings import OtherImages
from foveate.models.export.export import export_file
from foveate.models.export.exported import Exported

__all__ = ["export_trained"]


def export_trained(
    source: Path,
    path: Path | None,
    settings: ExportSettings,
    *,
    output_names: Sequence[str] | None = None,
    image_size: int | None = None,
    trust_code: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> tuple[Exported, str | None]:
    """Export the network in `source`; the second value says which images calibrated it, of int8.

    Raises:
        RequestError, WorkError: as `foveate.models.export.export.export_file`, and `find_calibration`.
    """
    settings.check(source, path)
    calibration: Calibration | None = None
    if settings.precision == "int8":
        calibration = find_calibration(
            source, OtherImages(data=settings.data), settings.calibration_images, trust_code=trust_code
        )
        on_step(f"calibrating with {calibration.about}")
    done = export_file(
        source,
        settings.format,
        path,
        image_size=image_size,
        output_names=output_names,
        precision=settings.precision,
        calibration=None if calibration is None else calibration.images,
        quantise_gates=settings.quantise_gates,
        trust_code=trust_code,
        on_step=on_step,
    )
    return done, None if calibration is None else calibration.about
