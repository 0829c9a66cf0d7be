"""Every mechanism passes its intermediates to the active recorders, and to nothing else."""

import copy
import pickle
import threading

import pytest
import torch

from foveate import create_attention, list_attention
from foveate.attention.explanations import EXPLANATIONS, explain_intermediate
from foveate.attention.intermediates import intermediate, recording, replacing
from foveate.kernels import only_reference

# By name: the shapes for a map (2, 8, 5, 4), C_mid = 8 and bottlenecks of 2 channels.
MAPS = {
    "a2": {"gather": (2, 2, 5, 4), "distribute": (2, 2, 5, 4)},
    "bam": {"channel": (2, 8, 1, 1), "spatial": (2, 1, 5, 4), "gate": (2, 8, 5, 4)},
    "ca": {"height": (2, 8, 5, 1), "width": (2, 8, 1, 4)},
    "cbam": {"channel": (2, 8, 1, 1), "spatial": (2, 1, 5, 4)},
    "dmsca": {
        "tau": (),
        "A_c": (2, 8, 1, 1),
        "F_multi": (2, 1, 5, 4),
        "F_h": (2, 8, 5, 1),
        "F_w": (2, 8, 1, 4),
        "A_dir": (2, 8, 5, 4),
        "w_0": (2, 1, 5, 4),
        "w_1": (2, 1, 5, 4),
        "alpha": (2, 1, 5, 4),
    },
    "eca": {"channel": (2, 8, 1, 1)},
    "gam": {"channel": (2, 8, 5, 4), "spatial": (2, 8, 5, 4)},
    "nam": {"gate": (2, 8, 5, 4)},
    "scpa": {"M_s": (2, 1, 5, 4), "M_c": (2, 8, 1, 1)},
    "se": {"channel": (2, 8, 1, 1)},
    "sgfa": {"M_s": (2, 1, 5, 4), "M_c": (2, 8, 1, 1), "gate": (2, 8, 5, 4)},
    "sgfa_ca": {"M_c": (2, 8, 1, 1)},
    "sgu": {"gate": (2, 8, 5, 4)},
    "simam": {"gate": (2, 8, 5, 4)},
    "triplet": {"channel_width": (2, 1, 8, 4), "height_channel": (2, 1, 5, 8), "height_width": (2, 1, 5, 4)},
}
every_mechanism = pytest.mark.parametrize("name", list_attention())


def run_recorded(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    recorded: dict[str, torch.Tensor] = {}
    with only_reference(), recording(recorded.__setitem__):
        return module(x), recorded


@every_mechanism
def test_every_mechanism_records_its_maps_by_name(build, name):
    module, x = build(name).eval(), torch.randn(2, 8, 5, 4)
    y, recorded = run_recorded(module, x)
    assert {key: tuple(torch.as_tensor(value).shape) for key, value in recorded.items()} == MAPS[name]
    torch.testing.assert_close(y, module(x))


@every_mechanism
def test_every_map_is_explained_and_nothing_else_is(build, name):
    module = build(name).eval()
    _, recorded = run_recorded(module, torch.randn(2, 8, 5, 4))
    assert EXPLANATIONS[name].keys() == recorded.keys()
    for key in recorded:
        assert explain_intermediate(module, key) == EXPLANATIONS[name][key]
        assert EXPLANATIONS[name][key].endswith(".")


def test_of_a_class_of_ones_own_only_the_name_is_stated():
    assert explain_intermediate(torch.nn.ReLU(), "heat") == "Recorded as heat by ReLU."


def test_the_maps_are_those_of_the_equations():
    x = torch.randn(2, 8, 5, 4)
    module = create_attention("dmsca", 8, reduction=2).eval()
    y, recorded = run_recorded(module, x)
    X_c = x * recorded["A_c"]
    X_s = X_c * torch.sigmoid(recorded["F_multi"] * recorded["A_dir"])
    torch.testing.assert_close(recorded["w_0"] + recorded["w_1"], torch.ones(2, 1, 5, 4))
    torch.testing.assert_close(y, recorded["alpha"] * (recorded["w_0"] * X_c + recorded["w_1"] * X_s))
    torch.testing.assert_close(recorded["tau"], torch.tensor(1.0))
    module = create_attention("ca", 8).eval()
    y, recorded = run_recorded(module, x)
    torch.testing.assert_close(y, x * recorded["height"] * recorded["width"])
    module = create_attention("a2", 8).eval()
    recorded = run_recorded(module, x)[1]
    torch.testing.assert_close(recorded["gather"].sum(dim=(2, 3)), torch.ones(2, 4))
    torch.testing.assert_close(recorded["distribute"].sum(dim=1), torch.ones(2, 5, 4))


def test_an_excluded_part_records_nothing():
    module = create_attention("dmsca", 8, reduction=2, msce=False, aa=False, temperature=0.5).eval()
    recorded = run_recorded(module, torch.randn(1, 8, 5, 4))[1]
    assert set(recorded) == {"tau", "A_c", "F_h", "F_w", "A_dir", "w_0", "w_1"}
    assert recorded["tau"] == 0.5


def test_recorders_can_be_nested():
    first: list[str] = []
    second: list[str] = []
    with recording(lambda name, value: first.append(name)):
        with recording(lambda name, value: second.append(name)):
            assert intermediate("both", 1) == 1
        intermediate("first", 2)
    intermediate("nobody", 3)
    assert (first, second) == (["both", "first"], ["both"])


def test_a_recorder_is_gone_after_an_exception_and_absent_in_another_thread():
    recorded: list[str] = []

    def elsewhere() -> None:
        intermediate("elsewhere", 1)

    with pytest.raises(KeyError), recording(lambda name, value: recorded.append(name)):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        raise KeyError
    intermediate("after", 2)
    assert recorded == []


def test_compiled_and_exported_mechanisms_record_nothing(build):
    module, x, recorded = build("se").eval(), torch.randn(2, 8, 5, 4), []
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")
    with recording(lambda name, value: recorded.append(name)):
        answers = [compiled(x), torch.export.export(module, (x,)).module()(x)]
    assert recorded == []
    for answer in answers:
        torch.testing.assert_close(answer, module(x))


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("name", ["a2", "bam", "cbam", "eca", "gam", "sgfa_ca", "sgu"])
def test_mechanisms_can_be_scripted(build, name):
    module, x = build(name).eval(), torch.randn(2, 8, 5, 4)
    torch.testing.assert_close(torch.jit.script(module)(x), module(x))


def test_copies_and_pickles_record_too(build):
    module, x = build("triplet").eval(), torch.randn(2, 8, 5, 4)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert set(run_recorded(other, x)[1]) == set(MAPS["triplet"])


def test_a_value_is_replaced_in_the_block_and_recorded_as_replaced(build):
    module, x = build("se").eval(), torch.randn(2, 8, 5, 4)
    before = module(x)
    with replacing(lambda name, value: torch.full_like(value, 0.25) if name == "channel" else value):
        y, recorded = run_recorded(module, x)
    assert torch.equal(y, 0.25 * x)
    assert torch.equal(recorded["channel"], torch.full((2, 8, 1, 1), 0.25))
    assert torch.equal(module(x), before)
