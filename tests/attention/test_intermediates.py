"""Every mechanism shows its own maps to who listens, and to nobody else."""

import copy
import pickle
import threading

import pytest
import torch

from foveate import create_attention, list_attention
from foveate.attention.intermediates import showing, shown
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


def listen(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    heard: dict[str, torch.Tensor] = {}
    with only_reference(), showing(heard.__setitem__):
        return module(x), heard


@every_mechanism
def test_it_shows_its_maps_by_name(build, name):
    module, x = build(name).eval(), torch.randn(2, 8, 5, 4)
    y, heard = listen(module, x)
    assert {key: tuple(torch.as_tensor(value).shape) for key, value in heard.items()} == MAPS[name]
    torch.testing.assert_close(y, module(x))


def test_the_maps_are_those_of_the_equations():
    x = torch.randn(2, 8, 5, 4)
    module = create_attention("dmsca", 8, reduction=2).eval()
    y, heard = listen(module, x)
    X_c = x * heard["A_c"]
    X_s = X_c * torch.sigmoid(heard["F_multi"] * heard["A_dir"])
    torch.testing.assert_close(heard["w_0"] + heard["w_1"], torch.ones(2, 1, 5, 4))
    torch.testing.assert_close(y, heard["alpha"] * (heard["w_0"] * X_c + heard["w_1"] * X_s))
    torch.testing.assert_close(heard["tau"], torch.tensor(1.0))
    module = create_attention("ca", 8).eval()
    y, heard = listen(module, x)
    torch.testing.assert_close(y, x * heard["height"] * heard["width"])
    module = create_attention("a2", 8).eval()
    heard = listen(module, x)[1]
    torch.testing.assert_close(heard["gather"].sum(dim=(2, 3)), torch.ones(2, 4))
    torch.testing.assert_close(heard["distribute"].sum(dim=1), torch.ones(2, 5, 4))


def test_a_part_that_was_left_out_shows_nothing():
    module = create_attention("dmsca", 8, reduction=2, msce=False, aa=False, temperature=0.5).eval()
    heard = listen(module, torch.randn(1, 8, 5, 4))[1]
    assert set(heard) == {"tau", "A_c", "F_h", "F_w", "A_dir", "w_0", "w_1"}
    assert heard["tau"] == 0.5


def test_several_listen_and_the_last_to_come_is_the_first_to_go():
    first: list[str] = []
    second: list[str] = []
    with showing(lambda name, value: first.append(name)):
        with showing(lambda name, value: second.append(name)):
            assert shown("both", 1) == 1
        shown("first", 2)
    shown("nobody", 3)
    assert (first, second) == (["both", "first"], ["both"])


def test_nobody_listens_after_an_exception_and_in_another_thread():
    heard: list[str] = []

    def elsewhere() -> None:
        shown("elsewhere", 1)

    with pytest.raises(KeyError), showing(lambda name, value: heard.append(name)):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        raise KeyError
    shown("after", 2)
    assert heard == []


def test_what_is_compiled_or_exported_shows_nothing(build):
    module, x, heard = build("se").eval(), torch.randn(2, 8, 5, 4), []
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(module), fullgraph=True, backend="aot_eager")
    with showing(lambda name, value: heard.append(name)):
        answers = [compiled(x), torch.export.export(module, (x,)).module()(x)]
    assert heard == []
    for answer in answers:
        torch.testing.assert_close(answer, module(x))


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("name", ["a2", "bam", "cbam", "eca", "gam", "sgfa_ca", "sgu"])
def test_mechanisms_can_be_scripted(build, name):
    module, x = build(name).eval(), torch.randn(2, 8, 5, 4)
    torch.testing.assert_close(torch.jit.script(module)(x), module(x))


def test_copies_and_pickles_show_as_well(build):
    module, x = build("triplet").eval(), torch.randn(2, 8, 5, 4)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert set(listen(other, x)[1]) == set(MAPS["triplet"])
