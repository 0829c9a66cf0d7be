"""The sizes of all measurements: on a GPU, and in the dry run on a CPU."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch

from price_networks import Case, list_cases

PRICED = ("dmsca", "sgfa", "cbam", "ca", "se", "simam")
PROVED = (*PRICED, "triplet", "scpa", "eca", "bam", "a2", "gam", "nam", "sgu", "sgfa_ca")
CANDIDATES = "none,dmsca,se,dmsca(identity_init=true),cbam,ca,eca,se(identity_init=true)"


@dataclass(frozen=True)
class Settings:
    """The settings of a slice.

    Attributes:
        device: "cuda", or "cpu" in the dry run.
        data: folder or name of the images of the accuracy study; None skips that step.
        whole_runs: start a training only if it is expected to end in the time left.
        proved: mechanisms whose training step is compared with their equations.
        shapes: (B, C, H, W) of kernel tests in addition to the table of the tests.
        kernel_cases: the most cases of each kernel; None for all.
        network_batch: images in a proved training step, `network_size` pixels wide.
        backend: the backend of torch.compile.
        cases: the comparisons of latency, most important first.
        seconds: seconds of a comparison.
        passed: the shapes (B, C, H, W) over which each pass is timed alone.
        broken_down: cases whose time is broken down by operator.
        training_images: images in an epoch when training speed is measured.
        training_forms: whether training is measured eager (False), compiled (True), or both.
        study: the keys of the accuracy study.
        recipe: the keys that override its recipe.
    """

    device: str
    data: str | None
    whole_runs: bool
    proved: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    kernel_cases: int | None
    network_batch: int
    network_size: int
    backend: str
    cases: tuple[Case, ...]
    seconds: float
    passed: tuple[tuple[int, ...], ...]
    broken_down: tuple[Case, ...]
    training_images: int
    training_forms: tuple[bool, ...]
    study: dict[str, object]
    recipe: dict[str, object]

    @property
    def torch_device(self) -> torch.device:
        """The device that everything runs on."""
        return torch.device(self.device)

    def backbone(self, mechanism: str) -> str:
        """Return the backbone of a mechanism."""
        own = [case.backbone for case in self.cases if case.mechanism == mechanism]
        return own[0] if own else self.cases[0].backbone


def on_a_gpu(data: str | None, whole_runs: bool) -> Settings:
    """Return the settings of a real slice."""
    cases = _cases(PRICED, "resnet50", "convnext_tiny", 224, [1, 256])
    return Settings(
        device="cuda",
        data=data,
        whole_runs=whole_runs,
        proved=PROVED,
        shapes=((16, 256, 56, 56), (33, 2048, 7, 7), (1, 60, 333, 517)),
        kernel_cases=None,
        network_batch=16,
        network_size=112,
        backend="inductor",
        cases=tuple(cases),
        seconds=5.0,
        passed=((256, 256, 56, 56), (256, 512, 28, 28), (256, 1024, 14, 14), (256, 2048, 7, 7)),
        broken_down=tuple(case for case in cases if case.batch_size > 1 and case.mechanism in PRICED[:2]),
        training_images=50_000,
        training_forms=(False, True),
        study={"backbone": "cifar_resnet18", "attention": CANDIDATES, "seeds": 5, "recipe": "short_cifar"},
        recipe={},
    )


def dry_run(data: str | None, whole_runs: bool) -> Settings:
    """Return tiny settings for a CPU, with the same steps as on a GPU."""
    cases = _cases(("dmsca",), "cifar_resnet8", "convnext_atto", 32, [2])
    cases = [case._replace(graph=False) for case in cases]
    study = {"backbone": "cifar_resnet8", "attention": "none,dmsca,se", "seeds": 2, "recipe": "short_cifar"}
    return Settings(
        device="cpu",
        data=data or "digits",
        whole_runs=whole_runs,
        proved=("dmsca", "se"),
        shapes=(),
        kernel_cases=6,
        network_batch=4,
        network_size=32,
        backend="eager",
        cases=tuple(cases),
        seconds=0.0,
        passed=((2, 8, 6, 6),),
        broken_down=(cases[0],),
        training_images=128,
        training_forms=(False,),
        study=study | {"train_fraction": 0.02 if data else 0.2},
        recipe={"epochs": 3, "batch_size": 32, "validation_fraction": 0.2, "learning_rate": 0.05},
    )


def _cases(
    mechanisms: tuple[str, ...], backbone: str, sgfa_backbone: str, size: int, batches: list[int]
) -> list[Case]:
    """List the comparisons for a GPU; within a mechanism, inference of the largest batch comes first."""
    given = SimpleNamespace(
        attention=mechanisms,
        backbone=backbone,
        sgfa_backbone=sgfa_backbone,
        image_size=size,
        batch_sizes=batches,
    )
    order = {name: place for place, name in enumerate(mechanisms)}
    return sorted(
        list_cases(given, gpu=True),
        key=lambda case: (order[case.mechanism], case.mode != "inference", -case.batch_size),
    )
