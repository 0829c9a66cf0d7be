import numpy as np
import pytest
from PIL import Image

from foveate.data.augment import Augmentation
from foveate.data.dataset import load_data


def test_hymenoptera(real):
    data = load_data(str(real / "hymenoptera"))
    assert (data.classes, data.channels, data.image_size, data.canvas) == (("ants", "bees"), 3, 224, 256)
    counts = [len(list((real / "hymenoptera" / part).glob("*/*.jpg"))) for part in ("train", "val")]
    assert [len(data.train), len(data.test)] == counts
    assert data.validation is None
    assert "validation part is held out as the test part" in data.notes[0]
    images, _ = data.test.__getitems__([0])
    first = sorted((real / "hymenoptera/val/ants").iterdir())[0]
    with Image.open(first) as image:
        left, top = (image.width - 256) // 2, (image.height - 256) // 2
        expected = np.asarray(image.convert("RGB"))[top : top + 256, left : left + 256]
    assert np.array_equal(images[0].permute(1, 2, 0).numpy(), expected)
    augment = Augmentation((), data.image_size, data.padding, data.mean, data.std)
    assert augment.unaugmented(images).shape == (1, 3, 224, 224)


def test_tiny_imagenet20(real):
    data = load_data(str(real / "tiny_imagenet20"))
    assert (len(data.classes), data.channels, data.image_size, data.canvas, data.padding) == (
        20,
        3,
        64,
        64,
        8,
    )
    assert (len(data.train), len(data.test)) == (2000, 1000)
    assert data.notes[-1] == "39 of 3,000 images are greyscale: read as RGB."
    training, validation = data.split(0)
    assert np.bincount(data.train.labels[validation]).tolist() == [10] * 20
    assert len(training) == 1800


@pytest.mark.usefixtures("cache")
def test_cifar10_test_file_alone(real, tmp_path):
    (tmp_path / "cifar10/data").mkdir(parents=True)
    (file,) = (real / "cifar10/data").glob("test-*.parquet")
    (tmp_path / "cifar10/data" / file.name).symlink_to(file)
    data = load_data(str(tmp_path / "cifar10"))
    assert data.classes[:3] == ("airplane", "automobile", "bird")
    assert (len(data.classes), data.channels, data.image_size, data.canvas, data.padding) == (
        10,
        3,
        32,
        32,
        4,
    )
    assert np.bincount(data.train.labels).tolist() == [800] * 10
    assert np.bincount(data.test.labels).tolist() == [200] * 10
    np.testing.assert_allclose(
        data.mean, (0.4914, 0.4822, 0.4465), atol=0.005
    )  # published, of the training part
    np.testing.assert_allclose(data.std, (0.2470, 0.2435, 0.2616), atol=0.005)


@pytest.mark.usefixtures("cache")
@pytest.mark.full  # 60,000 images take a gigabyte
def test_cifar10(real):
    data = load_data(str(real / "cifar10"))
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    np.testing.assert_allclose(data.mean, (0.4914, 0.4822, 0.4465), atol=5e-5)
    np.testing.assert_allclose(data.std, (0.2470, 0.2435, 0.2616), atol=5e-5)
    training, validation = data.split(0, train_fraction=0.1)
    assert np.bincount(data.train.labels[training]).tolist() == [450] * 10
    assert np.bincount(data.train.labels[validation]).tolist() == [50] * 10
