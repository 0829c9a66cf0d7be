import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.evaluation.probe import Features, features, find_head, linear_probe

CPU = torch.device("cpu")


def scaled(images: Tensor) -> Tensor:
    return images.float() / 255


def batches(count: int = 3, size: int = 32, channels: int = 3) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(0)
    return [
        (
            torch.randint(0, 256, (2, channels, size, size), generator=random, dtype=torch.uint8),
            torch.randint(0, 2, (2,), generator=random),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("build", "path", "width"),
    [
        (lambda: timm.create_model("cifar_resnet8", num_classes=4), "fc", 64),
        (lambda: foveate.attach(timm.create_model("cifar_resnet8", num_classes=4), "se"), "fc", 64),
        (lambda: timm.create_model("mobilenetv3_small_050", num_classes=4), "classifier", 1024),
        (lambda: timm.create_model("convnext_atto", num_classes=4), "head.fc", 320),
        (lambda: timm.create_model("resnetv2_18", num_classes=4), "head.fc", 512),
        (lambda: torchvision.models.squeezenet1_1(num_classes=4), "classifier.1", 512),
    ],
    ids=["resnet", "with attention", "mobilenet", "convnext", "pooled convolution", "convolution"],
)
def test_features_are_what_the_head_takes(build, path: str, width: int) -> None:
    torch.manual_seed(0)
    network = build().eval()
    found, head = find_head(network, torch.rand(2, 3, 64, 64))
    assert found == path
    part = features(network, batches(size=64), scaled, device=CPU)
    assert part.values.shape == (6, width)
    assert part.values.dtype == torch.float32
    if isinstance(head, nn.Linear):
        with torch.inference_mode():
            images = torch.cat([images for images, _ in batches(size=64)])
            assert torch.allclose(head(part.values), network(scaled(images)), atol=1e-5)
    assert not head._forward_pre_hooks


def test_a_map_counts_by_its_mean() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    (images, labels), *_ = batches()
    part = features(network, [(images, labels)], scaled, device=CPU)
    assert torch.allclose(part.values, scaled(images).mean((2, 3)), atol=1e-6)
    assert torch.equal(part.labels, labels)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean((2, 3)).repeat(1, 4)) + self.layer(x.amax((2, 3)).repeat(1, 4))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (nn.Flatten(), "Flatten has no linear layer"),
        (Twice(), "Twice ends with layer"),
        (
            nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "ends with 0, a Conv2d of 6",
        ),
        (nn.Conv2d(3, 2, 1), "Conv2d has no linear layer"),
    ],
)
def test_other_ends_are_refused_by_name(network: nn.Module, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        features(network, batches(), scaled, device=CPU)


def clouds(count: int, seed: int, gap: float = 3.0, classes: int = 3) -> Features:
    """Points around one corner a class, of very different spreads by feature."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    values = torch.randn(count, 5, generator=random)
    values[torch.arange(count), labels] += gap
    return Features(values * torch.tensor([1e3, 1, 1, 1, 1e-3]), labels)


def test_a_line_finds_what_a_line_can_find() -> None:
    scores = linear_probe(clouds(150, 0, 6), clouds(30, 1, 6), clouds(90, 2, 6), "abc")
    assert scores["accuracy"] > 0.95
    assert [row["class"] for row in scores["per_class"]] == ["a", "b", "c"]
    assert scores["features"] == 5


def test_two_classes_have_two_logits() -> None:
    part = clouds(60, 0, classes=2)
    assert len(linear_probe(part, part, part, "ab")["per_class"]) == 2


def test_the_same_twice() -> None:
    parts = clouds(150, 0, 1), clouds(30, 1, 1), clouds(90, 2, 1)
    assert linear_probe(*parts, "abc") == linear_probe(*parts, "abc")


def test_the_validation_part_chooses_and_the_test_part_does_not() -> None:
    train, validation, test = clouds(60, 0, 0.5), clouds(30, 1, 0.5), clouds(30, 2, 0.5)
    chosen = linear_probe(train, validation, test, "abc")
    mirrored = linear_probe(train, validation, Features(-test.values, test.labels), "abc")
    assert mirrored["c"] == chosen["c"]
    assert mirrored["accuracy"] != chosen["accuracy"]
    other = {linear_probe(train, clouds(30, seed, 0.5), test, "abc")["c"] for seed in range(3, 12)}
    assert len(other) > 1


def test_features_that_are_not_finite_and_classes_without_images_are_refused() -> None:
    part = clouds(30, 0)
    broken = Features(part.values * torch.inf, part.labels)
    with pytest.raises(RequestError, match="not all finite"):
        linear_probe(part, part, broken, "abc")
    with pytest.raises(RequestError, match="no image of d"):
        linear_probe(part, part, part, "abcd")
