"""`foveate check` on built-ins, on modules of other people, and on modules that are broken on purpose."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from check_modules import ALSO_BROKEN, BROKEN, RIGHT
from cover import cover
from foveate import create_attention, list_attention
from foveate.errors import RequestError
from foveate.inspection.check.engine import JUDGES, check, judge
from foveate.inspection.check.figures import figures, figures_shape
from foveate.inspection.check.promises import PROMISES
from foveate.inspection.check.subject import Broken, NotApplicable, Subject, factory_of
from foveate.inspection.check.watch import watched

FAST = [name for name, promise in PROMISES.items() if not promise.is_slow]
SLOW = [name for name in PROMISES if name not in FAST]


def test_every_promise_has_its_judge() -> None:
    assert list(JUDGES) == list(PROMISES)


@pytest.mark.parametrize(("promise", "name"), cover((p, n) for p in FAST for n in list_attention()))
def test_builtins_keep_every_promise(promise: str, name: str) -> None:
    outcome = judge(promise, Subject(factory_of(name), 16))
    assert outcome is None or (promise, name) == ("gradients", "simam"), outcome


@pytest.mark.full
@pytest.mark.parametrize("promise", SLOW)
@pytest.mark.parametrize("name", list_attention())
def test_builtins_keep_every_slow_promise(promise: str, name: str) -> None:
    """`make test` has them in tests/attention/test_contract_export.py, and of one in test_cli_check.py."""
    assert judge(promise, Subject(factory_of(name), 16)) is None


@pytest.mark.parametrize("style", RIGHT)
def test_right_modules_of_others_break_nothing(style: str) -> None:
    record = check(RIGHT[style], style, [16, 24], only=FAST)
    assert [(row.promise, row.input, row.found) for row in record.broken] == []


SELDOM = pytest.mark.full


@pytest.mark.parametrize(
    ("promise", "style"),
    [
        ("compile", "dim"),
        ("export", "in_channels"),
        ("onnx", "dim"),
        *(pytest.param(p, s, marks=SELDOM) for p in ("compile", "export", "onnx") for s in RIGHT),
        pytest.param("parallel", "in_channels", marks=SELDOM),
    ],
)
def test_right_modules_of_others_keep_the_slow_promises(promise: str, style: str) -> None:
    assert judge(promise, Subject(RIGHT[style], 16)) is None


def test_what_another_process_cannot_build_is_not_trained_in_two() -> None:
    outcome = judge("parallel", Subject(RIGHT["parameterless"], 16))
    assert isinstance(outcome, NotApplicable)
    assert "pickle" in outcome.why


@pytest.mark.parametrize("cause", BROKEN)
def test_a_module_that_is_broken_on_purpose_is_caught_and_named(cause: str) -> None:
    module, promise = BROKEN[cause]
    record = check(module, module.__name__, [64], only=FAST)
    rows = {row.promise: row for row in record.broken}
    assert rows[promise].cause == cause
    assert rows[promise].found
    if cause not in ("gate without a bound", "parameter without a gradient"):  # of no line of the forward
        assert rows[promise].place is not None
        assert rows[promise].place.startswith("check_modules.py:")
    assert bool(record.fatal) == (promise != "bounded" or len(rows) > 1)


def test_each_promise_can_be_broken() -> None:
    assert {promise for _, promise in BROKEN.values()} | set(ALSO_BROKEN) == set(PROMISES)


@pytest.mark.parametrize(
    "promise",
    [pytest.param(p, marks=[pytest.mark.full] * (p in ("parallel", "onnx"))) for p in ALSO_BROKEN],
)
def test_a_module_that_breaks_a_promise_is_caught(promise: str) -> None:
    outcome = judge(promise, Subject(ALSO_BROKEN[promise], 16))
    assert isinstance(outcome, Broken)
    assert outcome.given.startswith("(2, 16, ")
    assert outcome.found


def test_what_cannot_be_copied_is_blamed_on_copies_alone() -> None:
    record = check(ALSO_BROKEN["deepcopy"], "locked", [8], only=[*FAST, "export"])
    assert [row.promise for row in record.broken] == ["deepcopy", "pickle"]


@pytest.mark.parametrize(
    ("cause", "smallest"),
    [
        ("softmax over the batch", "(3, 64, 1, 1) float64 in eval"),
        (
            "pooling of a fixed size",
            "(2, 64, 1, 1) float32 in eval, of the sizes tried it takes 7×7, 8×8 alone",
        ),
        ("tensor of a fixed dtype", "(2, 64, 1, 1) bfloat16 in eval"),
        ("BatchNorm of one value", "(1, 64, 1, 1) float32 in training"),
    ],
)
def test_the_smallest_input_that_breaks_a_promise_is_named(cause: str, smallest: str) -> None:
    module, promise = BROKEN[cause]
    outcome = judge(promise, Subject(module, 64))
    assert isinstance(outcome, Broken)
    assert outcome.given == smallest


class SmallOnly(nn.Module):
    """Right up to 5 columns; wider maps lose a column."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[3] <= 5 else x[..., 1:]


class FewChannels(nn.Module):
    """Right for 64 channels alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x if self.channels == 64 else x.sum()


class TwoOutputs(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_smallest_means_the_first_that_breaks_from_small_to_large() -> None:
    odd, even = (judge(name, Subject(SmallOnly, 8)) for name in ("odd_maps", "shape"))
    assert isinstance(odd, Broken)
    assert isinstance(even, Broken)
    assert (odd.given[:12], even.given[:12]) == ("(2, 8, 7, 7)", "(2, 8, 8, 8)")
    record = check(FewChannels, "few", [96, 64], only=["shape"])
    assert record.promises[0].input is not None
    assert record.promises[0].input.startswith("(2, 96, 2, 2)")


def test_what_returns_no_map_is_said_once_and_leaves_the_rest_not_applicable() -> None:
    record = check(TwoOutputs, "two", [8], only=["shape", "gradcheck", "onnx"])
    first, *others = record.promises
    assert first.found == "the output is a tuple, expected a map"
    assert [row.verdict for row in others] == ["not applicable"] * 2


DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class OwnDevice(nn.Module):
    """A device of its own, as scripts have one at their top."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.full((x.shape[1], 1, 1), 0.5).to(DEVICE)


class PlainTensor(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = torch.ones(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def test_a_device_of_its_own_is_found_on_any_machine() -> None:
    for module in (OwnDevice, PlainTensor):
        outcome = judge("device", Subject(module, 8))
        assert isinstance(outcome, Broken)
        assert outcome.mistake is not None
        assert outcome.mistake.cause in ("tensor on a fixed device", "CUDA call inside")
    assert "scale is neither a parameter nor a buffer" in outcome.found


class NotANumber(nn.Module):
    """As SimAM's listing: a variance over M - 1 positions, of which a 1×1 map has none."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x.var((2, 3), keepdim=True))


def test_programs_name_what_they_cannot_follow() -> None:
    for promise, module, cause in (
        ("export", BROKEN["numpy inside"][0], "numpy inside"),
        ("compile", ALSO_BROKEN["compile"], "values read inside"),
    ):
        outcome = judge(promise, Subject(module, 16))
        assert isinstance(outcome, Broken)
        assert outcome.mistake is not None
        assert outcome.mistake.cause == cause


@pytest.mark.filterwarnings("ignore:var")
def test_a_size_that_gives_nan_breaks_its_own_promise_alone() -> None:
    record = check(NotANumber, "nan", [8], only=FAST)
    assert [row.promise for row in record.broken] == ["odd_maps"]
    assert record.broken[0].input is not None
    assert record.broken[0].input.startswith("(2, 8, 1, 1) float32 in eval, of the sizes tried it takes 1×2")


def test_costs_stand_beside_those_of_se_and_dmsca() -> None:
    subject = Subject(factory_of("eca"), 16)
    se, dmsca, eca = figures(subject, "mine", seconds=0.0)
    assert [se.module, dmsca.module, eca.module] == ["se", "dmsca", "mine"]
    assert (se.latency_ratio, eca.parameters) == (1.0, 3)
    assert figures_shape(subject) == (8, 16, 14, 14)
    assert eca.element_wise is not None
    assert eca.element_wise > 16 * 14 * 14


class CudaAtTheStart(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1).cuda()

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc(x))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes it")
def test_a_constructor_that_calls_cuda_is_judged_and_any_other_failure_refused() -> None:
    record = check(CudaAtTheStart, "mine", [8], only=["shape", "device"])
    assert [row.cause for row in record.promises] == ["CUDA call inside"] * 2
    assert record.promises[0].input == "constructing it"
    with pytest.raises(RequestError, match=r"mine cannot be built for 8 channels: TypeError.*kernel_size"):
        check(lambda channels: nn.Conv2d(channels, channels), "mine", [8])


def test_unknown_promises_and_refused_channels_are_wrong_requests() -> None:
    with pytest.raises(RequestError, match="Did you mean 'dtype'"):
        check(factory_of("se"), "se", only=["dtypes"])
    with pytest.raises(RequestError, match="reduction"):
        check(factory_of("se"), "se", [4], only=["shape"])


def test_a_watched_forward_of_a_builtin_shows_no_mistake() -> None:
    allowed = {"tensor on a fixed device", "BatchNorm of one value"}
    for name in list_attention():
        module, x = create_attention(name, 16).eval(), torch.randn(11, 16, 5, 4)
        assert {mistake.cause for mistake in watched(partial(module, x), x).mistakes} <= allowed, name
