"""What is said of kernels that no GPU has measured, ranges in which they are not taken, and the variable."""

import pytest
import torch
from mechanism_cases import build, images

import foveate
from foveate.errors import RequestError
from foveate.kernels import choose_path, dispatch, measured, operators

X = images((2, 16, 6, 6))


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the choice for a CPU's map be that of a GPU where the kernels can run: nothing is carried out."""
    monkeypatch.setattr(dispatch, "BY_DEVICE", {"cpu": dispatch.BY_DEVICE["cuda"]})
    monkeypatch.setattr(operators, "why_not", lambda x: None)
    monkeypatch.setattr(measured, "_device_name", lambda device: "NVIDIA H100 80GB HBM3")


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, "not measured on a GPU yet"),
        ({"dmsca": ("H100",)}, "measured on H100"),
        ({"dmsca": ("RTX 3090",)}, "measured on RTX 3090, not on this GPU"),
    ],
)
def test_the_reason_says_whether_a_gpu_has_measured_it(
    known: dict[str, tuple[str, ...]], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "MEASURED", known)
    assert choose_path(build("dmsca", 16), X, "dmsca")[:2] == ("triton", f"the fastest there is; {said}")


def test_every_measured_mechanism_has_triton_kernels() -> None:
    assert set(measured.MEASURED) <= set(dispatch.IN_PASSES)
    on_gpus = {known.mechanism for known in measured.SLOWER if known.device != "cpu"}
    assert on_gpus <= set(measured.MEASURED)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_a_range_that_was_measured_slower_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    elements = X.numel()
    slower = measured.Slower("dmsca", "H100", False, None, (elements, 2 * elements), 1.31, "a record")
    monkeypatch.setattr(measured, "SLOWER", [slower])
    module = build("dmsca", 16)
    taken = choose_path(module, X, "dmsca")
    assert taken.path == "rearranged"
    assert "1.31 × the time of what runs instead on H100, for maps of 1,152 to 2,304 elements" in taken.reason
    assert choose_path(module, X[:1], "dmsca").path == "triton"  # a smaller map
    assert choose_path(module.train(), X, "dmsca").path == "triton"
    foveate.set_path(module.eval(), "triton")
    assert choose_path(module, X, "dmsca")[:2] == (
        "triton",
        "asked for by name; not measured on a GPU yet",
    )
    monkeypatch.setattr(measured, "SLOWER", [slower._replace(device="H200")])
    assert choose_path(foveate.set_path(module, "auto"), X, "dmsca").path == "triton"
    monkeypatch.setattr(measured, "SLOWER", [slower._replace(compiled=True)])
    assert choose_path(module, X, "dmsca").path == "triton"


def test_another_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "WHOLE_PROGRAM", "equations")
    with pytest.raises(RequestError, match="FOVEATE_PATH='equations': expected auto or reference"):
        build("dmsca", 16)(torch.zeros(1, 16, 4, 4))
