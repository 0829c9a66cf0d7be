"""The CPU passes against reference.py; CBAM, CA and SimAM of them against their modules in float64."""

from types import SimpleNamespace

import numba
import pytest
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

pytest.importorskip("numba")

import foveate
from foveate.kernels import inference, reference
from foveate.kernels.numba import lines, maths
from foveate.kernels.numba import pixels as pixel_passes
from foveate.kernels.numba import planes as plane_passes
from foveate.kernels.numba import simam as simam_module
from foveate.kernels.numba.planes import BLOCK, EMBEDDED, STRIDE


def callable_passes(module):
    """The compiled functions of a module, with an entry for Python."""

    def with_entry(function):
        return numba.njit(lambda *given: function(*given), **maths.OPTIONS)

    compiled = {
        name: one for name, one in vars(module).items() if isinstance(one, numba.core.dispatcher.Dispatcher)
    }
    return SimpleNamespace(**{name: with_entry(one) for name, one in compiled.items()})


line_passes, simam = callable_passes(lines), callable_passes(simam_module)
pixels, planes = callable_passes(pixel_passes), callable_passes(plane_passes)

# Float32 sums of up to 2048 products in another order, and the sigmoid's own error of 9e-7, over the largest.
TOLERANCE = 2e-5
SHAPES = [
    (1, 1, 1),
    (3, 13, 29),
    (60, 7, 7),
    (2048, 7, 7),
    (2048, 1, 1),
    (1, 56, 56),
    (60, 56, 56),
]
LAYOUTS = ("planes", "pixels")
NAN = float("nan")


@pytest.fixture(params=SHAPES, ids=str)
def case(request):
    """A map x (1, C, H, W) in float32, and random numbers by shape."""
    C, H, W = request.param
    generator = torch.Generator().manual_seed(C * H + W)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    return SimpleNamespace(C=C, H=H, W=W, P=H * W, x=draw(1, C, H, W) + 0.2, draw=draw)


def poisoned(*shape: int) -> Tensor:
    return torch.full(shape, NAN)


def lay(x: Tensor, layout: str):
    """Make of x (1, C, H, W) what the passes of a layout take: (C, P) or (P, C)."""
    flat = x.flatten(2)[0]
    return (flat if layout == "planes" else flat.T).contiguous().numpy()


def read(y, layout: str, like: Tensor) -> Tensor:
    """Make (1, C, H, W) of what the passes of a layout return."""
    y = torch.from_numpy(y)
    return (y if layout == "planes" else y.T).reshape(like.shape)


def weigh(weights: Tensor, layout: str):
    """Lay (C, EMBEDDED) out as a layout has it."""
    return (weights if layout == "planes" else weights.T).contiguous().numpy()


def check(got: Tensor, wanted: Tensor) -> None:
    assert got.shape == wanted.shape
    error = (got - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30)
    assert error < TOLERANCE  # and not NaN


def parts(count: int) -> list[tuple[int, int]]:
    """Two parts of unequal size, as two threads would take them."""
    return [(0, count // 3), (count // 3, count)]


PASSES = {"planes": planes, "pixels": pixels}


def test_channel_statistics_of_planes(case):
    x, means, maxima = lay(case.x, "planes"), *(poisoned(case.C).numpy() for _ in range(2))
    for begin, end in parts(case.C):
        planes.channel_statistics(x, means, maxima, begin, end)
    rows, _, wanted = reference.pool(case.x.double())
    check(torch.from_numpy(means), rows.mean(dim=2)[0])
    assert torch.equal(torch.from_numpy(maxima).double(), wanted[0])


def test_channel_statistics_of_pixels(case):
    """Two parts of the pixels: their sums add up, and the larger of their maxima is the map's."""
    totals, maxima = poisoned(2, case.C), poisoned(2, case.C)
    for part, (begin, end) in enumerate(parts(case.P)):
        pixels.channel_statistics(
            lay(case.x, "pixels"), totals[part].numpy(), maxima[part].numpy(), begin, end
        )
    rows, _, wanted = reference.pool(case.x.double())
    check(totals.sum(0) / case.P, rows.mean(dim=2)[0])
    assert torch.equal(maxima.amax(0).double(), wanted[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [0, EMBEDDED])
def test_pixel_statistics(case, layout, count):
    """Of planes, two parts of the channels; of pixels, two parts of the pixels."""
    scale, embed = case.draw(case.C).sigmoid(), case.draw(case.C, count)
    embedded, pooled = poisoned(2, count, case.P), poisoned(2, 2, case.P)
    given = lay(case.x, layout), scale.numpy(), embed.T.contiguous().numpy()
    if layout == "planes":
        for part, (begin, end) in enumerate(parts(case.C)):
            out = embedded[part].numpy(), pooled[part].numpy(), poisoned(10 * STRIDE).numpy()
            planes.pixel_statistics(*given, *out, begin, end)
        found, mean, maximum = embedded.sum(0), pooled[:, 0].sum(0), pooled[:, 1].amax(0)
    else:
        for begin, end in parts(case.P):
            pixels.pixel_statistics(*given, embedded[0].numpy(), pooled[0].numpy(), begin, end)
        found, mean, maximum = embedded[0], pooled[0, 0], pooled[0, 1]
    wanted = reference.pool_channels(case.x.double(), scale.double()[None])[0].flatten(1)
    check(mean, wanted[0])
    check(maximum, wanted[1])
    if count:
        check(found, embed.double().T @ case.x.double()[0].flatten(1))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fuse(case, layout):
    C, P = case.C, case.P
    scale, multi, product = case.draw(C).sigmoid(), case.draw(P).relu(), case.draw(EMBEDDED, P)
    project, dff, dff_bias = case.draw(C, EMBEDDED), case.draw(2, 2 * C) / C**0.5, case.draw(2)
    aa, aa_bias = case.draw(C) / C**0.5, case.draw(1)
    y, block = poisoned(*lay(case.x, layout).shape).numpy(), poisoned(BLOCK).numpy()
    given = (
        *(lay(case.x, layout), y, scale.numpy(), multi.numpy(), product.numpy(), weigh(project, layout)),
        *((dff[0, :C] - dff[1, :C]).numpy(), (dff[0, C:] - dff[1, C:]).numpy(), aa.numpy()),
        (dff_bias[0].numpy() - dff_bias[1].numpy(), aa_bias[0].numpy()[()]),
        block,
    )
    if layout == "planes":  # in a team, threads take parts of the channels: see the tests of whole mechanisms
        planes.fuse(*given, (block.ctypes.data, 0, 1), 0, C)
    else:
        for begin, end in parts(P):
            pixels.fuse(*given, begin, end)
    maps = (multi.view(1, 1, case.H, case.W), product.view(1, EMBEDDED, case.H, case.W))
    wanted = reference.fuse(
        *(t.double() for t in (case.x, scale[None], *maps, project, dff, dff_bias, aa, aa_bias))
    )
    check(read(y, layout, case.x), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gate(case, layout):
    channels, positions = case.draw(case.C), case.draw(case.P)
    y = poisoned(*lay(case.x, layout).shape).numpy()
    for begin, end in parts(case.C if layout == "planes" else case.P):
        PASSES[layout].gate(lay(case.x, layout), y, channels.numpy(), positions.numpy(), begin, end)
    wanted = reference.gate(
        case.x.double(), channels.double()[None], positions=positions.double().view(1, 1, case.H, case.W)
    )
    check(read(y, layout, case.x), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_line_statistics(case, layout):
    x, lines = lay(case.x, layout), poisoned(case.H + case.W, case.C + 16)
    for begin, end in parts(case.C):
        if layout == "planes":
            line = poisoned((case.W + 15) // 16 * 16).numpy()
            line_passes.line_statistics_planes(x, lines.numpy(), case.H, line, begin, end)
        else:
            line_passes.line_statistics_pixels(x, lines.numpy(), case.H, case.W, begin, end)
    rows, columns, _ = reference.pool(case.x.double())
    check(lines[:, : case.C], torch.cat([rows[0].T, columns[0].T]))
    assert lines[:, case.C :].isnan().all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gate_lines(case, layout):
    x, lines = lay(case.x, layout), case.draw(case.H + case.W, case.C + 16)
    y = poisoned(*x.shape).numpy()
    for begin, end in parts(case.C if layout == "planes" else case.P):
        if layout == "planes":
            line = poisoned((case.W + 15) // 16 * 16).numpy()
            line_passes.gate_lines_planes(x, y, lines.numpy(), case.H, line, begin, end)
        else:
            line_passes.gate_lines_pixels(x, y, lines.numpy(), case.H, case.W, begin, end)
    rows, columns = lines[:, : case.C].double().T[None].split([case.H, case.W], dim=2)
    check(read(y, layout, case.x), reference.gate(case.x.double(), rows=rows, columns=columns))


@pytest.mark.parametrize("e_lambda", [0.1, 1e-41])
def test_simam_of_planes(case, e_lambda):
    x = lay(case.x, "planes")
    y = poisoned(*x.shape).numpy()
    for begin, end in parts(case.C):
        simam.simam_planes(x, y, e_lambda, begin, end)
    check(read(y, "planes", case.x), reference.simam(case.x.double(), e_lambda))


def test_sums_of_pixels(case):
    """Two parts of the pixels, whose sums add up."""
    sums, squares, means = poisoned(2, case.C), poisoned(2, case.C), case.draw(case.C)
    for part, (begin, end) in enumerate(parts(case.P)):
        simam.sum_pixels(lay(case.x, "pixels"), sums[part].numpy(), begin, end)
        simam.sum_squares(lay(case.x, "pixels"), means.numpy(), squares[part].numpy(), begin, end)
    flat = case.x.double()[0].flatten(1)
    check(sums.sum(0), flat.sum(1))
    check(squares.sum(0), (flat - means.double()[:, None]).square().sum(1))


MECHANISMS = ("cbam", "ca", "simam")


@pytest.fixture(params=[1, 2])
def team(request):
    """So many threads, and memory that nothing was written to is NaN."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(request.param)
    torch.use_deterministic_algorithms(True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield request.param
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(before)


def build(name: str, channels: int) -> nn.Module:
    """A module whose weights and statistics are no special case."""
    torch.manual_seed(channels)
    options = {"ca": {"min_channels": 7}, "simam": {}}.get(name, {"reduction": min(16, channels)})
    module = foveate.create_attention(name, channels, **options).eval()
    for tensor in module.state_dict().values():
        if tensor.dtype == torch.float32 and tensor.dim() == 1:
            tensor.uniform_(0.5, 1.5)
    return module


def attend(module: nn.Module, x: Tensor, name: str) -> Tensor:
    """What the kernel makes of x."""
    with torch.inference_mode():
        parts = inference.find_parts(module, x, name)
        assert not isinstance(parts, str), parts
        y = inference.attend(x, parts, name, None)
    assert y.stride() == x.stride()
    return y


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1),
        (33, 3, 1, 1),
        (1, 3, 56, 56),
        (33, 60, 7, 7),
        (3, 60, 13, 29),
        (1, 60, 1, 29),
        (2, 1, 13, 29),
        (1, 2048, 7, 7),
    ],
    ids=str,
)
def test_mechanism(name, memory_format, shape, team):
    module = build(name, shape[1])
    x = (torch.randn(shape) + 0.3).to(memory_format=memory_format)
    y = attend(module, x, name)
    with torch.inference_mode():
        wanted = module.double()(x.double())
    for image in range(len(x)):
        check(y[image], wanted[image])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_simam_divides_by_the_smallest_lambda(memory_format, team):
    module = foveate.create_attention("simam", 60, e_lambda=1e-41).eval()
    x = torch.randn(3, 60, 7, 7).to(memory_format=memory_format)
    x[1, 3] = 2  # a channel without variance
    check(attend(module, x, "simam"), reference.simam(x.double(), 1e-41))


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("value", [NAN, float("inf"), float("-inf")])
def test_what_is_not_finite_stays_in_its_place(name, memory_format, value, team):
    module = build(name, 20)
    x = torch.randn(3, 20, 6, 11).to(memory_format=memory_format)
    x[1, 7, 2, 5] = value
    y = attend(module, x, name)
    with torch.inference_mode():
        wanted = module.double()(x.double())
    assert not wanted.isfinite().all()
    torch.testing.assert_close(y.double(), wanted, rtol=0, atol=1e-4, equal_nan=True)


def test_a_gate_closes_fully_in_float32():
    """σ of a very negative number is 0, not merely small: an infinite pixel is then NaN as in torch."""
    module = build("cbam", 4)
    with torch.no_grad():
        module.spatial.conv.weight.fill_(-1)
    x = torch.rand(1, 4, 5, 5) + 300
    y = attend(module, x, "cbam")
    assert (y == 0).all()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_statistics_keep_nan_of_any_place(memory_format):
    """Vectors of several pixels or channels and what is left over: each must pass NaN on."""
    layout = "planes" if memory_format is torch.contiguous_format else "pixels"
    C, H, W = 21, 5, 7
    for place in range(C * H * W):
        x = torch.zeros(1, C, H, W)
        x.view(-1)[place] = NAN
        means, maxima, pooled = poisoned(C), poisoned(C), poisoned(2, H * W)
        PASSES[layout].channel_statistics(
            lay(x, layout), means.numpy(), maxima.numpy(), 0, C if layout == "planes" else H * W
        )
        given = lay(x, layout), torch.ones(C).numpy(), torch.ones(0, C).numpy()
        out = poisoned(0, H * W).numpy(), pooled.numpy()
        if layout == "planes":
            planes.pixel_statistics(*given, *out, poisoned(10 * STRIDE).numpy(), 0, C)
        else:
            pixels.pixel_statistics(*given, *out, 0, H * W)
        of_channels, of_pixels = x[0].isnan().any(2).any(1), x[0].isnan().any(0).flatten()
        assert torch.equal(means.isnan(), of_channels)
        assert torch.equal(maxima.isnan(), of_channels)
        assert torch.equal(pooled.isnan(), of_pixels.expand(2, -1))


def test_one_process_compiles_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def decorate(cache):
        def compile_it(function):
            (folder,) = (tmp_path / "foveate").iterdir()
            assert str(folder) == numba.config.CACHE_DIR
            with pytest.raises(Timeout):
                FileLock(folder / ".lock", timeout=0).acquire()
            return cache, function

        return compile_it

    assert maths.compiled_on_disk(decorate, "work") == (True, "work")
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "foveate").write_text("in the way")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert maths.compiled_on_disk(lambda cache: lambda function: cache, "work") is False
