import pytest
import timm
import torch
from torch import Tensor, nn

import foveate
from foveate.errors import RequestError
from foveate.evaluation.probe import Features, features, linear_probe

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


@pytest.mark.parametrize("attention", [None, "se"])
def test_features_are_what_the_head_takes(attention: str | None) -> None:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8", num_classes=4).eval()
    if attention:
        foveate.attach(network, attention)
    part = features(network, "fc", batches(), scaled, device=CPU)
    assert part.values.shape == (6, 64)
    assert part.values.dtype == torch.float32
    with torch.inference_mode():
        images = torch.cat([images for images, _ in batches()])
        assert torch.allclose(network.fc(part.values), network(scaled(images)), atol=1e-5)
    assert not network.fc._forward_pre_hooks


def test_a_map_counts_by_its_mean() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    (images, labels), *_ = batches()
    part = features(network, "0", [(images, labels)], scaled, device=CPU)
    assert torch.allclose(part.values, scaled(images).mean((2, 3)), atol=1e-6)
    assert torch.equal(part.labels, labels)


def test_a_head_that_takes_neither_vectors_nor_maps_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(2), nn.Linear(32 * 32, 4), nn.Flatten())
    with pytest.raises(RequestError, match="1 takes values of shape"):
        features(network, "1", batches(), scaled, device=CPU)


def clouds(count: int, seed: int, gap: float = 3.0, classes: int = 3) -> Features:
    """Points around one corner a class, of very different spreads by feature."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    values = torch.randn(count, 5, generator=random)
    values[torch.arange(count), labels] += gap
    return Features(values * torch.tensor([1e3, 1, 1, 1, 1e-3]), labels)


def test_a_line_finds_what_a_line_can_find() -> None:
    probe = linear_probe(clouds(150, 0, 6), clouds(30, 1, 6), clouds(90, 2, 6), "abc")
    assert probe.scores.accuracy > 0.95
    assert [row.name for row in probe.scores.per_class] == ["a", "b", "c"]
    assert probe.features == 5


def test_two_classes_have_two_logits() -> None:
    part = clouds(60, 0, classes=2)
    assert len(linear_probe(part, part, part, "ab").scores.per_class) == 2


def test_the_same_twice() -> None:
    parts = clouds(150, 0, 1), clouds(30, 1, 1), clouds(90, 2, 1)
    assert linear_probe(*parts, "abc") == linear_probe(*parts, "abc")


def test_the_validation_part_chooses_and_the_test_part_does_not() -> None:
    train, validation, test = clouds(60, 0, 0.5), clouds(30, 1, 0.5), clouds(30, 2, 0.5)
    chosen = linear_probe(train, validation, test, "abc")
    mirrored = linear_probe(train, validation, Features(-test.values, test.labels), "abc")
    assert mirrored.c == chosen.c
    assert mirrored.scores.accuracy != chosen.scores.accuracy
    other = {linear_probe(train, clouds(30, seed, 0.5), test, "abc").c for seed in range(3, 12)}
    assert len(other) > 1


def test_features_that_are_not_finite_and_classes_without_images_are_refused() -> None:
    part = clouds(30, 0)
    broken = Features(part.values * torch.inf, part.labels)
    with pytest.raises(RequestError, match="not all finite"):
        linear_probe(part, part, broken, "abc")
    with pytest.raises(RequestError, match="no image of d"):
        linear_probe(part, part, part, "abcd")
