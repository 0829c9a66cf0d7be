import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import functional as torchvision_functional

from foveate.data.augment import AUGMENTATIONS, Augmentation
from foveate.data.augmentation_names import AUGMENTATION_NAMES
from foveate.errors import RequestError

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def canvases(count=64, channels=3, side=12, seed=0):
    return torch.randint(256, (count, channels, side, side), generator=generator(seed), dtype=torch.uint8)


def augmentation(*names, image_size=8, padding=0, channels=3):
    return Augmentation(names, image_size, padding, MEAN[:channels], STD[:channels])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "names", [(), *((name,) for name in AUGMENTATIONS), ("erase", "jitter", "flip", "crop")]
)
def test_same_generator_state_same_result(names, channels, device):
    images = canvases(channels=channels).to(device)
    augment = augmentation(*names, channels=channels).to(device)
    first = augment(images, generator(3, device))
    assert first.shape == (64, channels, 8, 8)
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert torch.equal(first, augment(images, generator(3, device)))
    assert torch.equal(first, augment(images, generator(4, device))) == (not names)


def test_the_global_generator_is_not_drawn_from():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    augmentation("crop", "flip", "jitter", "erase")(canvases(), generator())
    augmentation("resized_crop")(canvases(), generator())
    assert torch.equal(before, torch.get_rng_state())


def test_plain_is_the_normalised_centre():
    images = canvases(4)
    expected = images[:, :, 2:10, 2:10].double() / 255
    expected = (expected - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    augment = augmentation()
    torch.testing.assert_close(augment.unaugmented(images).double(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(augment(images, generator()), augment.unaugmented(images))
    assert not augment.state_dict()


@pytest.mark.parametrize(("side", "size", "padding"), [(8, 8, 2), (12, 8, 0), (9, 7, 1), (5, 5, 0)])
def test_crop_equals_a_loop(side, size, padding):
    images = canvases(40, side=side).float() / 255
    settings = augmentation(image_size=size, padding=padding)
    drawn = generator(7)
    result = AUGMENTATIONS["crop"](images, drawn, settings)
    places = side + 2 * padding - size + 1
    top, left = torch.randint(places, (2, 40), generator=generator(7))
    for i in range(40):
        padded = F.pad(images[i], (padding,) * 4)
        assert torch.equal(result[i], padded[:, top[i] : top[i] + size, left[i] : left[i] + size])
    assert len(set(zip(top.tolist(), left.tolist(), strict=True))) > min(places, 5) - 1  # each has its own


def test_flip_equals_a_loop():
    images = canvases(100).float()
    result = AUGMENTATIONS["flip"](images, generator(1), augmentation())
    mirrored = torch.rand(100, generator=generator(1)) < 0.5
    assert 30 < mirrored.sum() < 70
    for i in range(100):
        assert torch.equal(result[i], images[i].flip(-1) if mirrored[i] else images[i])


def test_jitter_equals_torchvision_image_by_image():
    images = canvases(32).float() / 255
    result = AUGMENTATIONS["jitter"](images, generator(2), augmentation())
    factors = 0.6 + 0.8 * torch.rand((3, 32, 1, 1, 1), generator=generator(2))
    for i in range(32):
        expected = torchvision_functional.adjust_brightness(images[i], factors[0, i].item())
        expected = torchvision_functional.adjust_contrast(expected, factors[1, i].item())
        expected = torchvision_functional.adjust_saturation(expected, factors[2, i].item())
        # torchvision's luminance weights are rounded to 4 digits and add up to 0.9999
        torch.testing.assert_close(result[i], expected, rtol=0, atol=2e-4)


def test_resized_crop_shows_a_part_of_a_linear_image():
    # On a ramp a crop's pixels tell its place: value = column (channel 0) or row (channel 1), pixel centres.
    side, size = 64, 16
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    ramp = torch.stack([column, row, row]).float().expand(500, 3, side, side)
    result = AUGMENTATIONS["resized_crop"](ramp, generator(5), augmentation(image_size=size))
    step_x = (result[:, 0, :, 9] - result[:, 0, :, 8])[:, 8]
    step_y = (result[:, 1, 9] - result[:, 1, 8])[:, 8]
    width, height = step_x * size / side, step_y * size / side
    assert (width * height).min() >= 0.079
    assert (width * height).max() <= 1.001
    assert (width * height).mean() == pytest.approx(0.54 * 0.97, abs=0.04)
    assert (width / height).min() >= 0.749
    assert (width / height).max() <= 1.334
    left = result[:, 0, 8, 8] + 0.5 - 8.5 * step_x
    assert left.min() >= -0.01
    assert (left + size * step_x).max() <= side + 0.01
    assert left.std() > 5


def test_erase_sets_one_rectangle_to_the_mean():
    images = torch.full((400, 3, 16, 16), 2.0)
    settings = augmentation(image_size=16)
    result = AUGMENTATIONS["erase"](images, generator(6), settings)
    erased = (result != images).all(1).numpy()
    assert torch.equal(
        result[torch.from_numpy(erased)[:, None].expand_as(result)].unique(), settings.mean.unique()
    )
    touched = erased.any((1, 2))
    assert 160 < touched.sum() < 240
    areas = []
    for mask in erased[touched]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        areas.append(mask.mean())
    assert min(areas) >= 1 / 256
    assert max(areas) <= 0.4
    assert np.mean(areas) == pytest.approx(0.17, abs=0.02)
    assert len(np.unique(areas)) > 20


def test_order_of_names_does_not_matter():
    images = canvases(8)
    one = augmentation("crop", "flip", "erase")(images, generator())
    assert torch.equal(one, augmentation("erase", "crop", "flip")(images, generator()))


def test_unknown_and_contradictory_names():
    with pytest.raises(RequestError, match=r"unknown augmentation 'flipp'\. Did you mean 'flip'"):
        augmentation("flipp")
    with pytest.raises(RequestError, match="crop and resized_crop were both given"):
        augmentation("crop", "resized_crop")


def test_every_augmentation_has_its_name():
    assert tuple(AUGMENTATIONS) == AUGMENTATION_NAMES
