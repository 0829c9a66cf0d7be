"""What runs an ONNX file gives what the network gives, with the threads that are asked for."""

import numpy as np
import pytest
import timm
import torch

import foveate
from foveate.errors import RequestError
from foveate.models.export.build import Built, build
from foveate.models.export.formats import RUNTIMES
from foveate.models.export.runtimes import load_file, require_runtime


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    network = timm.create_model("cifar_resnet8", num_classes=4, in_chans=1, zero_init_last=False)
    return foveate.attach(network, "se").eval()


@pytest.fixture(scope="module")
def built(network: torch.nn.Module) -> Built:
    return build(network, "onnx", image_size=16)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (3, 1, 21, 18)])
def test_a_runtime_gives_the_logits_of_the_network(network, built, runtime, shape):
    if runtime == "openvino":
        pytest.importorskip("openvino")
    run = load_file(runtime, built.content, ["logits"], 1)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = network(images).numpy()
    (first,) = run(images.numpy())
    run(np.zeros(shape, dtype=np.float32))
    np.testing.assert_allclose(first, expected, atol=1e-5)  # and a later run leaves it alone


def test_a_runtime_that_is_not_installed_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(RequestError, match=r"openvino: pip install 'foveate\[openvino\]'"):
        require_runtime("openvino")
    require_runtime("onnxruntime")
