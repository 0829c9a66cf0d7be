"""The corruptions against their closed forms, slow loops, Pillow and SciPy."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from foveate.data.corruption_names import ARTICLE, noise_name, noise_sigma
from foveate.data.corruptions import CORRUPTIONS, corrupt
from foveate.data.corruptions.blur import disk, glass_blur
from foveate.data.corruptions.digital import elastic_transform
from foveate.data.corruptions.filters import blur, pad_mirrored, smear, zoom_in
from foveate.data.corruptions.frost import frost, frost_sheets
from foveate.data.corruptions.noise import impulse_noise, shot_noise
from foveate.data.corruptions.weather import plasma
from foveate.errors import RequestError
from foveate.records.severities import SEVERITIES, published_set

LEVEL = 1 / 255
RANDOM = {name for name in CORRUPTIONS if name not in {"defocus_blur", "zoom_blur", "brightness", "contrast"}}
RANDOM -= {"pixelate", "jpeg_compression"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, side: int = 32, channels: int = 3, seed: int = 0) -> Tensor:
    """Smooth images with all values, in whole 8-bit steps."""
    noise = torch.rand((count, channels, side, side), generator=seeded(seed))
    smooth = blur(noise, 1.5)
    low, high = smooth.amin(dim=(1, 2, 3), keepdim=True), smooth.amax(dim=(1, 2, 3), keepdim=True)
    return ((smooth - low) / (high - low) * 255).round() / 255


def on_8_bits(images: Tensor) -> bool:
    return torch.allclose(images * 255, (images * 255).round(), atol=1e-3)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 33, 64])
def test_every_corruption_gives_images_of_8_bits(name, channels, side):
    images = pictures(3, side, channels)
    before = images.clone()
    for severity in (1, 5):
        corrupted = corrupt(images, name, severity, seeded())
        assert corrupted.shape == images.shape
        assert corrupted.dtype == torch.float32
        assert 0 <= corrupted.min() <= corrupted.max() <= 1
        assert on_8_bits(corrupted)
    assert not torch.equal(corrupted, images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", [*CORRUPTIONS, "noise_15"])
def test_the_generator_alone_decides(name):
    severity = None if name == "noise_15" else 3
    images = pictures()
    once = corrupt(images, name, severity, seeded(1))
    torch.manual_seed(5)
    assert torch.equal(once, corrupt(images, name, severity, seeded(1)))
    if name in RANDOM | {"noise_15"}:
        assert not torch.equal(once, corrupt(images, name, severity, seeded(2)))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_of_a_batch_do_not_depend_on_each_other(name):
    images = pictures()
    others = torch.cat([images[:1], pictures(seed=7)[1:]])
    first, second = (corrupt(batch, name, 4, seeded()) for batch in (images, others))
    if name == "shot_noise":
        return  # how many numbers a Poisson draw takes depends on its mean
    assert torch.equal(first[0], second[0])


@pytest.mark.parametrize("name", sorted(RANDOM))
def test_each_image_has_random_numbers_of_its_own(name):
    same = pictures(1).expand(6, -1, -1, -1).contiguous()
    corrupted = corrupt(same, name, 5, seeded())
    assert len(torch.unique(corrupted.flatten(1), dim=0)) > 1


@pytest.mark.parametrize(
    "name", sorted(set(CORRUPTIONS) - {"elastic_transform", "snow", "frost", "glass_blur", "motion_blur"})
)
def test_stronger_is_further_from_the_image(name):
    images = pictures(16)
    away = [(corrupt(images, name, s, seeded()) - images).square().mean().item() for s in (1, 3, 5)]
    assert away == sorted(away)


def test_sizes_take_the_strengths_published_for_them():
    assert [published_set(side, side) for side in (8, 32, 48, 49, 64, 96, 97, 224)] == (
        ["cifar"] * 3 + ["tiny"] * 3 + ["imagenet"] * 2
    )
    assert published_set(300, 40) == "cifar"
    for table in SEVERITIES.values():
        assert list(table) == list(CORRUPTIONS)
        assert {len(strengths) for strengths in table.values()} == {5}


@pytest.mark.parametrize(("name", "sigma"), [("noise_15", 15 / 255), ("noise_25", 25 / 255)])
def test_noise_of_a_stated_sigma(name, sigma):
    grey = torch.full((8, 3, 64, 64), 128 / 255)
    noise = corrupt(grey, name, None, seeded()) - grey
    assert noise.mean().abs() < 4 * sigma / math.sqrt(noise.numel())
    assert noise.std().item() == pytest.approx(sigma, rel=0.01)


@pytest.mark.parametrize(
    ("sigma", "name"),
    [(15.0, "noise_15"), (0.1, "noise_0.1"), (100, "noise_100"), (12.3456789, "noise_12.3456789")],
)
def test_a_sigma_has_one_name(sigma, name):
    assert noise_name(sigma) == name
    assert noise_sigma(name) == sigma


def test_gaussian_noise_has_the_published_spread():
    grey = torch.full((8, 3, 32, 32), 0.5)
    for severity, sigma in enumerate((0.04, 0.06, 0.08, 0.09, 0.10), start=1):
        assert corrupt(grey, "gaussian_noise", severity, seeded()).std().item() == pytest.approx(
            sigma, rel=0.02
        )


def test_shot_noise_has_the_mean_and_variance_of_counted_photons():
    for value, photons in ((0.2, 50), (0.7, 12)):
        noisy = shot_noise(torch.full((8, 3, 64, 64), value), seeded(), photons)
        assert noisy.mean().item() == pytest.approx(value, rel=0.01)
        assert noisy.var().item() == pytest.approx(value / photons, rel=0.03)


def test_impulse_noise_sets_half_of_its_share_to_each_end():
    noisy = impulse_noise(torch.full((8, 3, 64, 64), 0.5), seeded(), 0.27)
    assert (noisy == 0).double().mean().item() == pytest.approx(0.135, abs=0.005)
    assert (noisy == 1).double().mean().item() == pytest.approx(0.135, abs=0.005)
    assert ((noisy == 0.5) | (noisy == 0) | (noisy == 1)).all()


def test_a_disk_of_radius_one_by_hand():
    # A cross of five pixels; its edge is hardly softened: exp(-1 / (2 · 0.1²)) is nothing.
    assert disk(1, 0.1) == pytest.approx(np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5, abs=1e-9)
    # A single pixel, softened by the weights e, 1, e with e = exp(-1 / (2 · 0.5²)).
    e = math.exp(-2)
    soft = np.array([e, 1, e]) / (1 + 2 * e)
    assert disk(0.4, 0.5) == pytest.approx(np.outer(soft, soft))
    assert disk(10, 0.5).shape == (21, 21)
    assert disk(6, 0.5).sum() == pytest.approx(1)
    assert 1 < disk(10, 0.5).sum() < 1.02  # as published


def test_defocus_is_a_convolution_mirrored_at_the_edge():
    image = pictures(1, 12, 1)
    expected = ndimage.convolve(image[0, 0].double().numpy(), disk(1.5, 0.1), mode="mirror")
    assert corrupt(image, "defocus_blur", 5, seeded())[0, 0].numpy() == pytest.approx(
        expected, abs=0.51 * LEVEL
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("sigma", [0.4, 1.5, 20.0])
def test_blur_is_that_of_scipy(mirrored, sigma):
    image = pictures(1, 17, 1)[0, 0]
    mode = "reflect" if mirrored else "nearest"
    expected = ndimage.gaussian_filter(image.double().numpy(), sigma, mode=mode, truncate=3.0)
    assert blur(image, sigma, mirrored=mirrored, truncate=3.0).numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("side", "margin"), [(5, 2), (4, 9), (1, 3)])
def test_padding_is_mirrored_as_often_as_it_takes(side, margin):
    image = torch.arange(side * side).view(side, side)
    assert np.array_equal(pad_mirrored(image, margin), np.pad(image.numpy(), margin, mode="reflect"))


@pytest.mark.parametrize("factor", [1, 1.07, 1.25, 2.5])
def test_zooming_is_that_of_scipy(factor):
    image = pictures(1, 32, 1)
    taken = math.ceil(32 / factor)
    top = (32 - taken) // 2
    middle = image[0, 0, top : top + taken, top : top + taken].double().numpy()
    large = ndimage.zoom(middle, factor, order=1)
    trim = (len(large) - 32) // 2
    assert zoom_in(image, factor)[0, 0].numpy() == pytest.approx(
        large[trim : trim + 32, trim : trim + 32], abs=1e-5
    )


def test_zoom_blur_averages_the_image_and_its_zooms():
    image = pictures(1)
    factors = [
        1,
        1.01,
        1.02,
        1.03,
        1.04,
        1.05,
        1.06,
    ]  # numpy's arange lets the end in, and so did the authors
    expected = (image + sum(zoom_in(image, factor) for factor in factors)) / 8
    assert corrupt(image, "zoom_blur", 1, seeded()).numpy() == pytest.approx(
        expected.numpy(), abs=0.51 * LEVEL
    )


@pytest.mark.parametrize(
    ("degrees", "down", "right"),
    [
        (0, [0, 0, 0], [0, 1, 2]),
        (90, [0, 1, 2], [0, 0, 0]),
        (-90, [0, -1, -2], [0, 0, 0]),
        (45, [0, 1, 1], [0, 1, 1]),  # 0.71 and 1.41 are rounded to 1
    ],
)
def test_smearing_takes_half_a_gaussian_along_the_angle(degrees, down, right):
    image = pictures(1, 9, 1)
    smeared = smear(image, torch.tensor([float(degrees)]), radius=1, sigma=1.0)[0, 0, 4, 4]
    weights = [1, math.exp(-0.5), math.exp(-2)]  # i = 0, 1, 2 = 2 · radius
    near = [image[0, 0, 4 + y, 4 + x].item() for y, x in zip(down, right, strict=True)]
    expected = sum(w * v for w, v in zip(weights, near, strict=True)) / sum(weights)
    assert smeared.item() == pytest.approx(expected, abs=1e-6)


def test_smearing_repeats_the_edge():
    image = pictures(2, 9, 1)
    smeared = smear(image, torch.zeros(2), radius=2, sigma=3.0)
    assert smeared[:, :, :, -1].numpy() == pytest.approx(image[:, :, :, -1].numpy(), abs=1e-6)


@pytest.mark.parametrize(("reach", "rounds"), [(1, 1), (1, 2), (2, 3), (4, 2)])
def test_glass_takes_pixels_one_after_the_other(reach, rounds):
    """The steps taken at once against the published loop, which moves pixel by pixel."""
    side, batch = 23, 3
    images = pictures(batch, side, 1)
    generator, same = seeded(3), seeded(3)
    expected = images.clone()
    n = side - 2 * reach
    for _ in range(rounds):
        down, right = torch.randint(-reach, reach, (2, batch, n, n), generator=same)
        for image, a, b in zip(expected, down, right, strict=True):
            for i, h in enumerate(range(side - reach, reach, -1)):
                for j, w in enumerate(range(side - reach, reach, -1)):
                    image[0, h, w] = image[0, h + a[i, j], w + b[i, j]]
    assert glass_blur(images, generator, 0.05, reach, rounds).numpy() == pytest.approx(
        expected.numpy(), abs=1e-6
    )


def test_swapping_views_of_an_array_copies():
    """Why the published glass blur is no shuffle."""
    x = np.arange(6).reshape(2, 3)
    x[0], x[1] = x[1], x[0]
    assert x.tolist() == [[3, 4, 5], [3, 4, 5]]


def test_brightness_is_added_to_the_value_of_hsv():
    import colorsys

    images = pictures(1, 12)
    images[0, :, 0, 0] = 0
    brighter = corrupt(images, "brightness", 5, seeded())  # 0.3
    for y, x in np.ndindex(12, 12):
        h, s, v = colorsys.rgb_to_hsv(*images[0, :, y, x].tolist())
        expected = colorsys.hsv_to_rgb(h, s, min(v + 0.3, 1))
        assert brighter[0, :, y, x].numpy() == pytest.approx(expected, abs=0.51 * LEVEL)


def test_contrast_shrinks_the_distance_to_each_channels_mean():
    images = pictures()
    means = images.mean(dim=(2, 3), keepdim=True)
    expected = means + 0.15 * (images - means)
    assert corrupt(images, "contrast", 5, seeded()).numpy() == pytest.approx(
        expected.numpy(), abs=0.51 * LEVEL
    )


@pytest.mark.parametrize(("side", "severity"), [(32, 1), (32, 5), (64, 3), (100, 4), (8, 2)])
def test_pixelation_is_pillows(side, severity):
    images = pictures(2, side)
    scale = SEVERITIES[published_set(side, side)]["pixelate"][severity - 1][0]
    for image, pixelated in zip(images, corrupt(images, "pixelate", severity, seeded()), strict=True):
        picture = Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy())
        small = picture.resize((int(side * scale),) * 2, Image.Resampling.BOX)
        expected = np.asarray(small.resize((side, side), Image.Resampling.BOX))
        # Exact halves may be rounded either way.
        assert np.abs((pixelated * 255).permute(1, 2, 0).numpy() - expected).max() <= 1.01
        assert np.abs((pixelated * 255).permute(1, 2, 0).numpy() - expected).mean() < 0.02


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels):
    images = pictures(70, 32, channels)
    compressed = corrupt(images, "jpeg_compression", 5, seeded())
    for number in (0, 69):
        pixels = (images[number] * 255).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(file, "JPEG", quality=40)
        expected = np.asarray(Image.open(file)).reshape(pixels.shape)
        assert np.array_equal((compressed[number] * 255).round().byte().permute(1, 2, 0).numpy(), expected)


def test_plasma_is_diamond_square_point_by_point():
    """Each point as the mean of its four neighbours, all wrapping around, and noise as published.

    plasma_fractal adds wibble · uniform(-wibble, wibble) and divides wibble by the decay: the noise falls by
    decay² a level.
    """
    size, decay = 8, 3.0
    generator = seeded()
    cloud = np.zeros((size, size))
    step, wibble = size, 100.0
    while step > 1:
        half, cells = step // 2, size // step
        draws = [
            wibble * ((2 * torch.rand(1, cells, cells, generator=generator)[0] - 1).numpy() * wibble)
            for _ in range(3)
        ]
        # The middles of squares, of their upper edges, and of their left edges.
        for (down, right), draw in zip([(half, half), (0, half), (half, 0)], draws, strict=True):
            before = cloud.copy()
            for i, j in np.ndindex(cells, cells):
                y, x = i * step + down, j * step + right
                near = [(-half, -half), (-half, half), (half, -half), (half, half)]
                if (down, right) != (half, half):
                    near = [(-half, 0), (half, 0), (0, -half), (0, half)]
                cloud[y, x] = np.mean([before[(y + a) % size, (x + b) % size] for a, b in near]) + draw[i, j]
        step, wibble = half, wibble / decay
    expected = (cloud - cloud.min()) / (cloud.max() - cloud.min())
    for side in (8, 5):
        made = plasma(1, side, decay, seeded(), torch.device("cpu"))[0]
        assert made.numpy() == pytest.approx(expected, abs=1e-5)


def test_fog_keeps_the_largest_value_and_lifts_black():
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 0.8
    foggy = corrupt(image, "fog", 5, seeded())
    assert foggy.max() <= 0.8 + LEVEL
    assert foggy[..., :16].mean() > 0.1


def test_snow_falls_on_a_whitened_image():
    image = torch.full((64, 3, 32, 32), 0.2)
    snowy = corrupt(image, "snow", 1, seeded())
    # Where no flake falls: 0.95 · 0.2 + 0.05 · max(0.2, 1.5 · 0.2 + 0.5) = 0.23.
    assert snowy.min().item() == pytest.approx(0.23, abs=LEVEL)
    assert (snowy > 0.5).any()


def test_frost_is_laid_over_the_image():
    images = pictures(3, 32)
    kept, laid_over = 0.75, 0.45
    ice = (frost(images, seeded(), kept, laid_over, 0.2) - kept * images) / laid_over
    assert torch.equal(
        ice, frost(torch.zeros_like(images), seeded(), 0, 1, 0.2)
    ) or ice.numpy() == pytest.approx(frost(torch.zeros_like(images), seeded(), 0, 1, 0.2).numpy(), abs=1e-5)
    assert 0 <= ice.min() <= ice.max() <= 1
    assert 0.3 < frost_sheets().mean() < 0.7


def test_elastic_without_jitter_and_amplitude_leaves_the_image():
    images = pictures()
    assert elastic_transform(images, seeded(), 0, 0, 0).numpy() == pytest.approx(images.numpy(), abs=1e-5)


def test_elastic_moves_three_points_as_drawn():
    side = 33
    image = torch.zeros(1, 1, side, side)
    image[0, 0, 16 + 11, 16 + 11] = 1  # the first point: the middle, and a third of the side away
    jitter = 0.1
    moved = (torch.rand((1, 3, 2), generator=seeded()) * 2 - 1)[0, 0] * jitter * side
    bent = elastic_transform(image, seeded(), 0, 0, jitter)[0, 0]
    weights = bent / bent.sum()
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    assert (weights * x).sum().item() == pytest.approx(27 + moved[0].item(), abs=0.35)
    assert (weights * y).sum().item() == pytest.approx(27 + moved[1].item(), abs=0.35)


def test_elastic_displaces_by_a_blurred_field_of_the_stated_amplitude():
    """A ramp in x shows the displacement in x."""
    side, amplitude, sigma = 48, 0.1, 0.04
    ramp = (torch.arange(side) / side).expand(1, 1, side, side).contiguous()
    generator = seeded()
    torch.rand((1, 3, 2), generator=generator)
    noise = (torch.rand((1, 2, side, side), generator=generator) * 2 - 1)[0, 0].double().numpy()
    field = ndimage.gaussian_filter(noise, sigma * side, mode="reflect", truncate=3.0) * amplitude * side
    bent = elastic_transform(ramp, seeded(), amplitude, sigma, 0.0)[0, 0]
    inside = slice(8, -8)
    assert ((bent - ramp[0, 0]) * side)[inside, inside].numpy() == pytest.approx(
        field[inside, inside], abs=1e-3
    )


@pytest.mark.parametrize(
    ("name", "severity", "words"),
    [
        ("fogg", 1, "Did you mean 'fog'"),
        ("fog", 0, "1, 2, 3, 4 or 5, got 0"),
        ("fog", None, "got None"),
        ("fog", True, "got True"),
        ("noise_0", None, "from 0.1 to 255"),
        ("noise_0.00001", None, "from 0.1 to 255"),
        ("noise_300", None, "from 0.1 to 255"),
        ("noise_15", 2, "no severity"),
        ("noise_x", None, "noise_σ"),
    ],
)
def test_what_is_no_corruption_is_refused(name, severity, words):
    with pytest.raises(RequestError, match=words):
        corrupt(pictures(1), name, severity, seeded())


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(1, 3, 1, 1),
        torch.zeros(1, 3, 32, 1),
        torch.zeros(1, 2, 32, 32),
        torch.zeros(3, 32, 32),
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images):
    with pytest.raises(RequestError):
        corrupt(images, "fog", 1, seeded())


def test_the_articles_corruptions_are_known():
    images = pictures(2)
    for name in ARTICLE:
        corrupt(images, name, None if noise_sigma(name) else 3, seeded())


def test_images_need_not_be_square():
    images = pictures(2, 40)[:, :, :20]
    for name in CORRUPTIONS:
        assert corrupt(images, name, 3, seeded()).shape == images.shape
