import pytest
import torch
from torchvision.transforms.v2 import functional

from foveate.data.augmentation_names import (
    AUGMENTATION_NAMES,
    DENSE_AUGMENTATIONS,
    check_augmentations,
    check_dense_augmentations,
)
from foveate.data.dense.augment import DenseAugmentation, pad_to
from foveate.data.dense.augment_masks import MaskSteps, _scaled
from foveate.data.dense.targets import BoxTargets
from foveate.errors import RequestError

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
SUBSETS = [(), *((name,) for name in DENSE_AUGMENTATIONS["masks"]), DENSE_AUGMENTATIONS["masks"]]
SIZES = ((20, 30), (40, 24), (9, 50), (12, 12))


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def images(channels=3, sizes=SIZES, seed=0):
    """A random image of each size."""
    of = generator(seed)
    return [torch.randint(256, (channels, *size), generator=of, dtype=torch.uint8) for size in sizes]


def masks(sizes=SIZES, seed=1):
    of = generator(seed)
    return [torch.randint(5, size, generator=of, dtype=torch.uint8) for size in sizes]


def boxes(sizes=SIZES):
    """In each image but the last two boxes, of a quarter and of the whole of it; in the last none."""
    found = []
    for index, (height, width) in enumerate(sizes):
        corners = [[0, 0, width / 2, height / 2], [0, 0, width, height]] if index < len(sizes) - 1 else []
        of = torch.tensor(corners, dtype=torch.float32).reshape(-1, 4)
        areas = (of[:, 2] * of[:, 3]) / 2  # as of objects that fill half of their boxes
        count = len(of)
        found.append(BoxTargets(of, torch.arange(count), torch.arange(count) > 0, areas))
    return found


def augmentation(kind, *names, size=16, channels=3):
    return DenseAugmentation(names, MEAN[:channels], STD[:channels], image_size=size, kind=kind)


def moved(targets, device):
    return [
        BoxTargets(*(one.to(device) for one in target))
        if isinstance(target, BoxTargets)
        else target.to(device)
        for target in targets
    ]


def flat(result):
    """All tensors of a result, images and targets."""
    found = [result] if isinstance(result, torch.Tensor) else []
    if isinstance(result, (list, tuple)):
        found = [tensor for one in result for tensor in flat(one)]
    return found


def same(first, second):
    pairs = list(zip(flat(first), flat(second), strict=True))
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("names", SUBSETS)
@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_same_generator_state_same_result(kind, names, channels, device):
    given = [image.to(device) for image in images(channels)]
    targets = moved(boxes() if kind == "boxes" else masks(), device)
    augment = augmentation(kind, *names, channels=channels).to(device)
    before = [tensor.clone() for tensor in flat((given, targets))]
    first = augment.augmented(given, targets, generator(3, device))
    torch.rand(5)  # the state of the global generator plays no part
    assert same(first, augment.augmented(given, targets, generator(3, device)))
    others = [augment.augmented(given, targets, generator(seed, device)) for seed in range(4, 8)]
    assert all(same(first, other) for other in others) == (not names)
    assert same(before, flat((given, targets)))
    assert all(type(tensor) is torch.Tensor for tensor in flat(first))
    assert all(torch.isfinite(tensor).all() for tensor in flat(first))
    assert not augment.state_dict()


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_the_global_generators_are_not_drawn_from(kind):
    torch.manual_seed(0)
    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    targets = boxes() if kind == "boxes" else masks()
    augmentation(kind, *DENSE_AUGMENTATIONS[kind]).augmented(images(), targets, generator())
    assert same(states, [torch.get_rng_state(), *torch.cuda.get_rng_state_all()])


def test_images_of_a_batch_have_their_own_numbers():
    image = images(sizes=[(40, 40)])[0]
    augment = augmentation("masks", "crop")
    batch, labels = augment.augmented([image] * 4, [masks([(40, 40)])[0]] * 4, generator())
    assert (batch.shape, batch.dtype) == ((4, 3, 16, 16), torch.float32)
    assert (labels.shape, labels.dtype) == ((4, 16, 16), torch.int64)
    assert not any(torch.equal(batch[0], batch[k]) for k in range(1, 4))


def test_without_crop_the_middle_is_cut_out_or_padded():
    given, labels = images(sizes=[(20, 11)])[0], masks([(20, 11)])[0]
    batch, found = augmentation("masks").augmented([given], [labels], generator())
    normalised = (given.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    # 2 rows of 20 are cut off on each side; 5 columns are added, 3 on the left and 2 on the right.
    torch.testing.assert_close(batch[0, :, :, 3:14].double(), normalised[:, 2:18], rtol=1e-5, atol=1e-5)
    assert torch.equal(found[0, :, 3:14], labels[2:18].long())
    assert batch[0, :, :, :3].abs().max() == batch[0, :, :, 14:].abs().max() == 0  # the mean colour
    assert set(found[0, :, :3].unique().tolist()) == set(found[0, :, 14:].unique().tolist()) == {255}


def position_image(height, width):
    """An image whose pixels, and whose mask, say where they are: rows in channel 0, columns in 1."""
    rows = torch.arange(height, dtype=torch.uint8).view(-1, 1).expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8).expand(height, width)
    return torch.stack([rows, columns, columns]), rows


def test_crop_and_flip_move_image_and_mask_alike():
    image, rows = position_image(60, 100)
    augment = augmentation("masks", "crop", "flip")
    batch, labels = augment.augmented([image] * 20, [rows] * 20, generator())
    pixels = batch * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    found_rows, found_columns = (pixels[:, channel].mul(255).round().long() for channel in (0, 1))
    assert torch.equal(found_rows, labels)
    steps = found_columns[:, :, 1:] - found_columns[:, :, :-1]
    assert sorted(set(steps.unique().tolist())) == [-1, 1]  # some were mirrored, each whole
    assert all(len(one.unique()) == 1 for one in steps)
    assert len({int(one.min()) for one in labels}) > 5


def test_scale_moves_image_and_mask_alike():
    labels = torch.zeros(122, 161, dtype=torch.uint8)
    labels[31:84, 16:77] = 1
    image = (labels * 200).expand(3, 122, 161).contiguous()
    torch.manual_seed(0)
    shifts = []
    for _ in range(50):
        pixels, scaled = _scaled(image, labels)
        assert pixels.shape[1:] == scaled.shape
        assert 61 <= scaled.shape[0] <= 244
        assert set(scaled.unique().tolist()) == {0, 1}
        wrong = (pixels[0] > 100) != (scaled == 1)
        assert wrong.float().mean() < 0.05  # one row or column at the edges
        shifts.append(torch.stack([centre(pixels[0]), centre(scaled)]).diff(dim=0))
    # torchvision's function for masks moves them by 0.5 pixels to the lower right.
    assert torch.cat(shifts).mean(dim=0).abs().max() < 0.1


def centre(weights):
    """The centre of mass, (row, column)."""
    weights = weights.double()
    return (
        torch.stack(
            [(weights.sum(dim=1 - axis) * torch.arange(weights.shape[axis])).sum() for axis in (0, 1)]
        )
        / weights.sum()
    )


def test_factors_of_scale():
    torch.manual_seed(0)
    image, labels = images(sizes=[(100, 10)])[0], masks([(100, 10)])[0]
    heights = torch.tensor([_scaled(image, labels)[1].shape[0] for _ in range(400)], dtype=torch.float64)
    assert 50 <= heights.min() < 55
    assert 195 < heights.max() <= 200
    assert abs(heights.mean() - 125) < 4 * 43.3 / 20  # uniform: standard deviation 150 / sqrt(12)


def test_crops_hold_a_labelled_pixel():
    """One labelled pixel of 40,000: a crop of 16×16 has it in 1 of 130 draws at best."""
    labels = torch.full((200, 200), 255, dtype=torch.uint8)
    labels[37, 150] = 3
    image = torch.zeros(3, 200, 200, dtype=torch.uint8)
    _, found = augmentation("masks", "crop", "flip").augmented([image] * 30, [labels] * 30, generator())
    assert (found == 3).sum(dim=(1, 2)).tolist() == [1] * 30
    rows, columns = (found == 3).nonzero()[:, 1:].T
    assert len(rows.unique()) > 5  # it is not always at the same place of the crop
    assert len(columns.unique()) > 5


def test_labelled_pixels_at_the_border_can_be_cropped():
    steps = MaskSteps(("crop",), 16)
    torch.manual_seed(0)
    for row, column in ((0, 0), (59, 0), (0, 9), (59, 9)):
        labels = torch.full((60, 10), 255, dtype=torch.uint8)  # narrower than the crop
        labels[row, column] = 1
        for _ in range(10):
            top, left = steps._random_place(labels)
            assert 0 <= top <= 44
            assert -6 <= left <= 0
            assert top <= row < top + 16


def test_a_mask_without_labels_is_cropped_anywhere():
    labels = torch.full((40, 40), 255, dtype=torch.uint8)
    image = images(sizes=[(40, 40)])[0]
    batch, found = augmentation("masks", "crop").augmented([image] * 2, [labels] * 2, generator())
    assert (found == 255).all()
    assert not torch.equal(batch[0], batch[1])


def test_plain_masks_are_whole_and_normalised():
    given, labels = images(), masks()
    found, targets = augmentation("masks", "crop", "jitter").plain(given, labels)
    for image, mask, one, target in zip(given, labels, found, targets, strict=True):
        mean, std = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, STD))
        torch.testing.assert_close(one, (image / 255 - mean) / std)
        assert target.dtype == torch.int64
        assert torch.equal(target, mask.long())


def test_plain_boxes_are_in_0_to_1():
    given, targets = images(), boxes()
    found, same_targets = augmentation("boxes", "crop", "jitter").plain(given, targets)
    assert all(torch.equal(one, image / 255) for one, image in zip(found, given, strict=True))
    assert same(same_targets, targets)


def test_boxes_without_augmentation_are_those_of_plain():
    augment = augmentation("boxes")
    assert same(augment.augmented(images(), boxes(), generator()), augment.plain(images(), boxes()))


def test_flip_of_boxes():
    image = torch.zeros(3, 20, 30, dtype=torch.uint8)
    image[:, 5:10, 2:8] = 255
    target = BoxTargets(
        torch.tensor([[2.0, 5, 8, 10]]), torch.tensor([4]), torch.tensor([False]), torch.tensor([30.0])
    )
    found, targets = augmentation("boxes", "flip").augmented([image] * 20, [target] * 20, generator())
    corners = [tuple(one.boxes[0].tolist()) for one in targets]
    assert set(corners) == {(2, 5, 8, 10), (22, 5, 28, 10)}
    for one, (left, top, right, bottom) in zip(found, corners, strict=True):
        assert one[:, int(top) : int(bottom), int(left) : int(right)].min() == 1
        assert one.sum() == 3 * 30


def test_scale_of_boxes():
    target = boxes([(40, 60), (1, 1)])[0]
    image = images(sizes=[(40, 60)])[0]
    found, targets = augmentation("boxes", "scale").augmented([image] * 30, [target] * 30, generator())
    heights = {one.shape[1] for one in found}
    assert len(heights) > 5
    assert 32 <= min(heights) < 40 < max(heights) <= 50
    for one, of in zip(found, targets, strict=True):
        height, width = one.shape[1:]
        expected = torch.tensor([[0, 0, width / 2, height / 2], [0, 0, width, height]])
        torch.testing.assert_close(of.boxes, expected)
        torch.testing.assert_close(of.areas, expected[:, 2] * expected[:, 3] / 2)
        assert of.labels.tolist() == [0, 1]


def test_crop_drops_boxes_with_what_belongs_to_them():
    corners = torch.tensor([[4.0 * k, 4.0 * k, 4.0 * k + 3, 4.0 * k + 3] for k in range(10)])
    target = BoxTargets(corners, torch.arange(10), torch.arange(10) % 2 == 0, torch.full((10,), 9.0))
    image, _ = position_image(40, 40)
    found, targets = augmentation("boxes", "crop").augmented([image] * 40, [target] * 40, generator())
    assert {len(of.labels) for of in targets} >= {1, 10}
    for one, of in zip(found, targets, strict=True):
        assert len(of.boxes) == len(of.labels) == len(of.crowd) == len(of.areas) >= 1
        assert torch.equal(of.crowd, of.labels % 2 == 0)
        top, left = (one[channel].min().mul(255).round() for channel in (0, 1))
        shift = torch.stack([left, top, left, top])
        height, width = one.shape[1:]
        expected = (corners[of.labels] - shift).clamp(min=0)
        expected[:, ::2].clamp_(max=width)
        expected[:, 1::2].clamp_(max=height)
        torch.testing.assert_close(of.boxes, expected)
        sides = expected[:, 2:] - expected[:, :2]
        torch.testing.assert_close(of.areas, sides.prod(dim=1))


def test_boxes_of_less_than_a_pixel_are_dropped():
    target = boxes([(40, 60), (1, 1)])[0]
    tiny = torch.tensor([[10.0, 10, 10.5, 20]])
    target = target._replace(boxes=torch.cat([target.boxes[:1], tiny]))
    image = images(sizes=[(40, 60)])[0]
    _, (of,) = augmentation("boxes", "scale").augmented([image], [target], generator())
    assert of.labels.tolist() == [0]
    _, (of,) = augmentation("boxes", "flip", "jitter").augmented([image], [target], generator())
    assert of.labels.tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_jitter_is_within_its_factors(kind):
    image = torch.full((3, 16, 16), 100, dtype=torch.uint8)  # neither contrast nor saturation change it
    targets = [boxes([(16, 16), (1, 1)])[0] if kind == "boxes" else masks([(16, 16)])[0]] * 200
    found, _ = augmentation(kind, "jitter").augmented([image] * 200, targets, generator())
    batch = torch.stack(list(found))
    if kind == "masks":
        batch = batch * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    factors = batch.mean(dim=(1, 2, 3)) / (100 / 255)
    assert 0.6 - 1e-4 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.4 + 1e-4


def test_jitter_is_torchvisions():
    steps = MaskSteps(("jitter",), 16)
    image, labels = images(sizes=[(16, 16)])[0], masks([(16, 16)])[0]
    torch.manual_seed(5)
    found, _ = steps(image, labels, torch.zeros(3, 1, 1), torch.ones(3, 1, 1))
    torch.manual_seed(5)
    order, brightness, contrast, saturation, _ = steps.jitter.make_params([]).values()
    expected = image / 255
    for step in order.tolist():
        if step == 0:
            expected = functional.adjust_brightness(expected, brightness)
        elif step == 1:
            expected = functional.adjust_contrast(expected, contrast)
        elif step == 2:
            expected = functional.adjust_saturation(expected, saturation)
    torch.testing.assert_close(found, expected)


def test_padding_to_a_multiple():
    given = [torch.ones(3, 5, 9), torch.full((3, 8, 2), 2.0)]
    batch, sizes = pad_to(given, 8)
    assert batch.shape == (2, 3, 8, 16)
    assert sizes == [(5, 9), (8, 2)]
    assert torch.equal(batch[0, :, :5, :9], given[0])
    assert torch.equal(batch[1, :, :8, :2], given[1])
    assert batch.sum() == given[0].sum() + given[1].sum()
    assert pad_to(given[1:], 2)[0].shape == (1, 3, 8, 2)


@pytest.mark.parametrize("kind", ["boxes", "masks"])
def test_unknown_names_are_refused(kind):
    with pytest.raises(RequestError, match=f"unknown augmentation of images with {kind} 'erase'"):
        augmentation(kind, "flip", "erase")
    with pytest.raises(RequestError, match="Did you mean 'jitter'"):
        check_dense_augmentations(kind, ["jiter"])
    assert augmentation(kind, "jitter", "scale").names == ("scale", "jitter")
    check_dense_augmentations(kind, DENSE_AUGMENTATIONS[kind])
    check_augmentations(AUGMENTATION_NAMES[1:])
