"""What a source of trained networks is, found without reading it: this module imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foveate.errors import RequestError, check_at_least
from foveate.files import find_obstacle
from foveate.inspection.settings import ExaminationSettings
from foveate.models.backbones.names import TORCHVISION, check_backbone
from foveate.models.checkpoint.file_names import WEIGHTS, check_there
from foveate.records.file_names import RESULT, STUDY
from foveate.studies.engine.environment import check_threads
from foveate.training.machine import lightning_device

__all__ = [
    "DescribedWeights",
    "Pretrained",
    "Run",
    "Source",
    "Study",
    "Weights",
    "check_examination",
    "check_out",
    "find_source",
]


@dataclass(frozen=True)
class Study:
    """The folder of a study, for all of its finished runs."""

    folder: Path


@dataclass(frozen=True)
class Run:
    """The folder of one finished run."""

    folder: Path


@dataclass(frozen=True)
class DescribedWeights:
    """A file of weights that describes its network."""

    file: Path


@dataclass(frozen=True)
class Weights:
    """A file of the weights of a backbone."""

    backbone: str
    file: Path


@dataclass(frozen=True)
class Pretrained:
    """A name that timm, or torchvision, has pretrained weights for."""

    name: str


Source = Study | Run | DescribedWeights | Weights | Pretrained


def find_source(source: str) -> Source:
    """Return what `source` is. A source that exists as a path is taken as a path.

    Raises:
        RequestError: there is no such network.
    """
    if not source.strip():
        raise RequestError("an empty name was given: expected a study, a run, a file or a timm name")
    path = Path(source).expanduser()
    if (path / STUDY).is_file():
        return Study(path)
    if (path / RESULT).is_file():
        return Run(path)
    if path.exists():
        path = next((path / name for name in WEIGHTS if (path / name).is_file()), path)
        if path.is_dir():
            raise RequestError(f"{path} holds no study, no finished run and no {' or '.join(WEIGHTS)}")
        return DescribedWeights(path)
    if "=" in source:
        backbone, _, file = source.partition("=")
        check_backbone(backbone)
        check_there(Path(file).expanduser())
        return Weights(backbone, Path(file).expanduser())
    if "/" in source.removeprefix(TORCHVISION) or path.suffix == ".safetensors":
        raise RequestError(f"there is no {source}: expected a study, a run, a file or a timm name")
    check_backbone(source)
    return Pretrained(source)


def check_examination(sources: Sequence[str], settings: ExaminationSettings) -> None:
    """Validate what an examination is asked for, before anything is read.

    Raises:
        RequestError: no such network, device or folder, or too many threads.
    """
    check_at_least(settings, threads=1)
    check_threads("--threads", settings.threads or 1)
    lightning_device(settings.device)
    for source in sources:
        find_source(source)
    if settings.out is not None:
        check_out(settings.out)


def check_out(folder: Path) -> None:
    """Raise RequestError if the record cannot be written to `folder`."""
    if there := find_obstacle(folder):
        raise RequestError(f"--out {folder}: {there} is no folder that can be written to. Give another")
