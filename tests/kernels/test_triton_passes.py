"""The Triton kernels against the reference in float64: interpreted, and compiled where there is a GPU."""

import importlib.util
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import mechanism_cases
import pass_cases
import pytest
import torch
from pass_cases import CASES, case_name
from torch import Tensor
from triton_interpreted import interpreted

from cover import cover
from foveate.errors import RequestError
from foveate.kernels.parts import read_parts

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed"),
    # The interpreter computes with numpy, which warns of exp(800) and of inf - inf.
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
]
# The interpreter cuts a bfloat16 off where a GPU rounds it: at most 2⁻⁷ = 7.82e-3 of it.
INTERPRETED = pass_cases.TOLERANCE | {torch.bfloat16: 8e-3}
KERNELS = [name for name in pass_cases.PASSES if " " not in name]
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def kernels() -> Iterator[SimpleNamespace]:
    from triton.runtime.errors import InterpreterError

    with interpreted() as found:
        try:
            found.pool(torch.zeros(1, 1, 1, 1))
        except InterpreterError as error:
            if "0-dimensional arrays" not in str(error):
                raise
            pytest.skip("this Triton's interpreter (3.6, say) cannot loop with numpy 2.4 or later")
        yield found


@pytest.fixture(autouse=True)
def poisoned(kernels: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what the kernels are to write with NaN, and cut for a small GPU: programs are slow here."""
    empty = kernels.maps.empty
    monkeypatch.setattr(kernels.maps, "empty", lambda *args: empty(*args).fill_(NAN))
    monkeypatch.setattr(kernels.maps, "FEW", 2)


def run(
    kernels: SimpleNamespace, name: str, given: Sequence[Any], ups: Sequence[Tensor]
) -> tuple[list, list]:
    """Outputs of a launcher and, for gradients of its outputs, what its backward gives."""
    outputs = pass_cases.tensors(pass_cases.function_of(name, kernels)(*given))
    kept = [outputs[2]] if name == "pool" else []
    backward = getattr(kernels, f"{name.split()[0]}_backward")
    ups = [up.to(y.dtype) for up, y in zip(ups, outputs, strict=True)]
    return outputs, pass_cases.tensors(backward(*given, *kept, *ups))


def check(kernels: SimpleNamespace, name: str, given: Sequence[Any]) -> None:
    """Hold a pass and all its gradients against float64; each has the dtype of what it belongs to."""
    outputs, gradients = pass_cases.truth(name, given)
    found, d_found = run(kernels, name, given, pass_cases.upstream(outputs))
    assert {y.dtype for y in found} == {given[0].dtype}
    assert [d.dtype for d in d_found] == [part.dtype for part in pass_cases.tensors(given)]
    pass_cases.assert_close(found, outputs, f"{name}, output", INTERPRETED)
    pass_cases.assert_close(d_found, gradients, f"{name}, gradient of argument", INTERPRETED)


# By default each pass in each dtype and in each layout, and each shape in some pass.
@pytest.mark.parametrize(
    ("name", "shape", "dtype", "layout"), cover(CASES, (0, 2), (0, 3), (1,)), ids=case_name
)
def test_outputs_and_every_gradient(
    kernels: SimpleNamespace, name: str, shape: tuple, dtype: torch.dtype, layout: str
) -> None:
    mid = 8 if shape[1] < 2048 else 2  # the interpreter takes its time
    check(kernels, name, pass_cases.arguments(name, shape, dtype, layout, mid=mid))


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("name", KERNELS)
def test_a_map_is_split_where_the_gpu_has_many_processors(
    kernels: SimpleNamespace, name: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.maps, "FEW", 16)
    check(kernels, name, pass_cases.arguments(name, (1, 5, 40, 29), layout=layout, mid=2))


@pytest.mark.parametrize("name", ["pool", "gate", "simam"])
def test_rows_longer_than_a_tile(kernels: SimpleNamespace, name: str) -> None:
    check(kernels, name, pass_cases.arguments(name, (1, 2, 3, 300)))


@pytest.mark.parametrize("name", ["pool_channels", "fuse"])
def test_more_channels_than_a_tile(kernels: SimpleNamespace, name: str) -> None:
    check(kernels, name, pass_cases.arguments(name, (1, 2500, 1, 2), layout="channels_last", mid=2))


@pytest.mark.parametrize("shape", [(2, 160, 3, 5), (1, 256, 9, 9)])
@pytest.mark.parametrize("name", ["pool", "pool_channels", "pool_channels plain", "fuse"])
def test_many_channels_a_pixel_at_a_time(kernels: SimpleNamespace, name: str, shape: tuple) -> None:
    check(kernels, name, pass_cases.arguments(name, shape, layout="channels_last", mid=3))


@pytest.mark.parametrize("mid", [1, 5, 17])
def test_any_number_of_middle_channels(kernels: SimpleNamespace, mid: int) -> None:
    check(kernels, "fuse", pass_cases.arguments("fuse", (2, 3, 2, 3), mid=mid))
    check(kernels, "fuse", pass_cases.arguments("fuse", (2, 3, 2, 3), mid=mid, layout="channels_last"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["pool_channels", "gate", "fuse"])
def test_small_arguments_in_another_dtype(kernels: SimpleNamespace, name: str, dtype: torch.dtype) -> None:
    check(kernels, name, pass_cases.arguments(name, (2, 3, 4, 5), dtype, small=torch.float32))


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("name", ["pool", "pool_channels", "pool_channels plain"])
def test_the_gradient_of_a_maximum_is_shared_among_ties(
    kernels: SimpleNamespace, name: str, layout: str
) -> None:
    x, *scale = pass_cases.arguments(name, (2, 9, 5, 6), layout=layout)
    scale = [None if part is None else torch.full_like(part, 0.5) for part in scale]
    check(kernels, name, [x.round().clamp(-1, 1), *scale])
    check(kernels, name, [x.round().clamp(-2, 0), *scale])  # the 0 behind a map's edge is none of them


@pytest.mark.parametrize(
    ("layout", "dtype"), [("contiguous", torch.bfloat16), ("channels_last", torch.float32)], ids=case_name
)
@pytest.mark.parametrize("name", pass_cases.PASSES)
def test_nan_and_infinity_come_out_where_they_do_of_torch(
    kernels: SimpleNamespace, name: str, layout: str, dtype: torch.dtype
) -> None:
    given = pass_cases.arguments(name, (4, 3, 5, 6), dtype, layout, mid=2)
    for image, value in enumerate([NAN, INF, -INF]):
        given[0][image, 1, 2, 3] = value
    given[0][2, 1] = -INF
    check(kernels, name, given)


@pytest.mark.parametrize("name", ["pool", "pool_channels", "pool_channels plain", "fuse"])
def test_nan_and_infinity_come_out_a_pixel_at_a_time(kernels: SimpleNamespace, name: str) -> None:
    given = pass_cases.arguments(name, (3, 130, 2, 3), layout="channels_last", mid=2)
    for image, value in enumerate([NAN, INF, -INF]):
        given[0][image, 1, 1, 2] = value
    given[0][2, :, 0, 1] = -INF
    check(kernels, name, given)


@pytest.mark.parametrize(
    ("layout", "channels"), [("contiguous", 3), ("channels_last", 3), ("channels_last", 130)]
)
def test_an_infinite_product_only_opens_and_closes_gates(
    kernels: SimpleNamespace, layout: str, channels: int
) -> None:
    given = pass_cases.arguments("fuse", (2, channels, 5, 6), layout=layout)
    given[3][0, 1, 2, 3] = INF
    outputs, _ = pass_cases.truth("fuse", given)
    assert outputs[0].isfinite().all()
    pass_cases.assert_close([kernels.fuse(*given)], outputs, "fuse")


def test_large_logits_overflow_nowhere(kernels: SimpleNamespace) -> None:
    given = pass_cases.arguments("fuse", (2, 3, 5, 6))
    given[6] += torch.tensor([300.0, 299.0])
    check(kernels, "fuse", given)


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_may_come_in_any_layout(kernels: SimpleNamespace, name: str) -> None:
    given = pass_cases.arguments(name, (2, 3, 5, 6), layout="channels_last")
    outputs = pass_cases.truth(name, given)[0]
    ups = [torch.full((1,), 0.5, dtype=y.dtype).expand(y.shape) for y in outputs]
    expected = pass_cases.outputs_and_gradients(
        pass_cases.function_of(name), [wide(part) for part in given], ups
    )[1]
    pass_cases.assert_close(run(kernels, name, given, ups)[1], expected, name, INTERPRETED)


def wide(part: Any) -> Any:
    return part.double() if isinstance(part, Tensor) else part


# By default one in each layout; every one meets parts of rows and columns that are joined.
@pytest.mark.parametrize(
    ("shape", "layout", "options"),
    [
        ((3, 20, 5, 7), "contiguous", {"mid_channels": 3}),
        ((3, 130, 6, 5), "channels_last", {"mid_channels": 2, "kernel_sizes": (3, 5)}),
        *(
            pytest.param(*case, marks=pytest.mark.full)
            for case in [
                ((2, 24, 70, 3), "contiguous", {}),
                ((2, 16, 1, 4), "channels_last", {"temperature": 0.7, "kernel_sizes": (7,)}),
                ((1, 32, 9, 1), "view", {"mid_channels": 5}),
                ((1, 16, 1, 1), "channels_last", {}),
            ]
        ),
    ],
    ids=case_name,
)
def test_dmsca_in_one_call(
    kernels: SimpleNamespace, shape: tuple, layout: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.maps, "FEW", 6)
    module = mechanism_cases.build("dmsca", shape[1], **options)
    x = mechanism_cases.images(shape, layout)
    parts = read_parts(module, "dmsca")
    assert not isinstance(parts, str)
    y = kernels.dmsca.attend(x, parts.weights, parts.numbers)
    mechanism_cases.assert_equal(y, mechanism_cases.by_equations(module, x))


@pytest.mark.filterwarnings("ignore:var_mean")  # of torch, which takes the mean of an empty map
@pytest.mark.parametrize("name", KERNELS)
def test_an_empty_batch_gives_empty_maps_and_no_gradient(kernels: SimpleNamespace, name: str) -> None:
    given = pass_cases.arguments(name, (0, 3, 5, 6))
    outputs, gradients = pass_cases.truth(name, given)
    found, d_found = run(kernels, name, given, outputs)
    assert [y.shape for y in found] == [y.shape for y in outputs]
    assert all(torch.equal(d.double(), of) for d, of in zip(d_found, gradients, strict=True))


def test_what_the_kernels_cannot_take_is_refused(kernels: SimpleNamespace) -> None:
    x = torch.zeros(1, 2, 3, 4)
    with pytest.raises(RequestError, match="x is torch.int64: convert it"):
        kernels.pool(x.long())
    with pytest.raises(RequestError, match="x is torch.float8_e4m3fn"):
        kernels.simam(x.to(torch.float8_e4m3fn), 1e-4)
    with pytest.raises(RequestError, match="channels is torch.float64"):
        kernels.gate(x, torch.zeros(1, 2).double())
    with pytest.raises(RequestError, match="x is on cpu and scale on meta"):
        kernels.pool_channels(x, torch.zeros(1, 2, device="meta"))
    with pytest.raises(RequestError, match=r"scale is \(2, 1\); with x \(1, 2, 3, 4\) it must be \(1, 2\)"):
        kernels.pool_channels(x, torch.zeros(2, 1))
    with pytest.raises(RequestError, match="2³¹ elements or more"):
        kernels.pool(x[:, :1, :1, :1].expand(1, 2**11, 2**10, 2**10))
    with pytest.raises(RequestError, match=r"shape \(B, C, H, W\), not \(2, 3, 4\)"):
        kernels.pool(x[0])
    with pytest.raises(RequestError, match=r"shape \(B, C, H, W\), not \(2, 3, 4\)"):
        kernels.gate(x[0])
    with pytest.raises(RequestError, match="at least one channel, row and column"):
        kernels.pool(x[:, :, :0])


def test_more_than_two_to_the_31_elements_are_addressed(kernels: SimpleNamespace) -> None:
    kernels.maps.check(torch.zeros(1, 1, 1, 1).expand(2**12, 2**10, 2**5, 2**5))
