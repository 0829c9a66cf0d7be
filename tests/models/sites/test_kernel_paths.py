"""foveate.kernel_paths and foveate.set_path on whole networks."""

import pytest
import timm
import torch

import foveate
from foveate.errors import RequestError

IMAGES = torch.zeros(1, 3, 32, 32)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return foveate.attach(timm.create_model("cifar_resnet20"), "dmsca", identity_init=True).eval()


def test_each_site_has_its_path_and_the_reason(network):
    with torch.inference_mode():
        lines = foveate.kernel_paths(network)
    assert [line.site for line in lines] == [f"{site}.mechanism" for site in foveate.attached(network)]
    assert {line[1:] for line in lines} == {("dmsca", "numba", "the fastest there is")}
    assert str(lines[0]) == "layer1.0.bn2.attention.mechanism: dmsca by numba (the fastest there is)"


def test_the_answer_is_for_the_moment(network):
    with torch.autocast("cpu", torch.bfloat16):
        assert {line.path for line in foveate.kernel_paths(network)} == {"rearranged"}
    with torch.inference_mode():
        assert {line.path for line in foveate.kernel_paths(network)} == {"numba"}


def test_with_images_it_is_what_was_taken(network):
    with torch.inference_mode():
        assert foveate.kernel_paths(network, IMAGES) == foveate.kernel_paths(network)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert "not float32" in foveate.kernel_paths(network, IMAGES)[0].reason


def test_attention_without_other_paths_is_in_the_list():
    network = foveate.attach(timm.create_model("cifar_resnet20"), "eca")
    assert {line[1:3] for line in foveate.kernel_paths(network)} == {("eca", "reference")}
    assert len(foveate.kernel_paths(network)) == len(foveate.attached(network))


def test_parts_of_sgfa_have_paths_of_their_own():
    network = timm.create_model("convnext_tiny_sgfa").eval()
    assert {(line.site.rpartition(".")[2], line.mechanism) for line in foveate.kernel_paths(network)} == {
        ("spatial", "spatial_mask")
    }


def test_set_path_reaches_every_site_and_back(network):
    with torch.inference_mode():
        by_numba = network(IMAGES)
        foveate.set_path(network, "reference")
        assert {line.path for line in foveate.kernel_paths(network)} == {"reference"}
        assert torch.allclose(network(IMAGES), by_numba, atol=1e-5)
        foveate.set_path(network, "auto")
        assert torch.equal(network(IMAGES), by_numba)


def test_refusals(network):
    with pytest.raises(RequestError, match="Did you mean 'numba'"):
        foveate.set_path(network, "nunba")
    with pytest.raises(RequestError, match="no attention"):
        foveate.set_path(timm.create_model("cifar_resnet20"), "auto")
    with pytest.raises(RequestError, match=r"\(ECA\) has no path 'numba'"):
        foveate.set_path(foveate.attach(timm.create_model("cifar_resnet20"), "eca"), "numba")


def test_a_copy_keeps_the_path_that_was_asked_for(network, tmp_path):
    import copy

    foveate.set_path(network, "reference")
    assert {line.path for line in foveate.kernel_paths(copy.deepcopy(network))} == {"reference"}
    foveate.save(network, tmp_path / "n.safetensors")
    loaded = foveate.load(tmp_path / "n.safetensors")
    assert {line.path for line in foveate.kernel_paths(loaded)} == {"numba"}


def test_the_old_name_still_works_and_names_the_new_one(network):
    with pytest.warns(DeprecationWarning, match=r"foveate\.explain is now foveate\.kernel_paths"):
        lines = foveate.explain(network, IMAGES)
    assert lines == foveate.kernel_paths(network, IMAGES)
    assert {"explain", "kernel_paths"} <= set(foveate.__all__)
