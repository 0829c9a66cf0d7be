"""Every mechanism in every family of networks: what `attach` promises, and the table of it in the docs.

By default each family and each mechanism is tested once; `make test-all` tests every cell.
`FOVEATE_WRITE_DOCS=1` writes the table anew.
"""

import copy
import os
from pathlib import Path

import pytest
import torch
from families import FAMILIES, attach, build, images_of, place, without_memory
from torch import Tensor, nn

import foveate
from cover import cover
from foveate.models import attached
from foveate.notation import magnitude

DOCS = Path(__file__).parents[2] / "docs" / "contract.md"

CELLS = [(*family, mechanism) for family in FAMILIES for mechanism in foveate.list_attention()]
# Blocks and places of attention that neither test_tools.py nor tests/models/export exports.
EXPORTED = {("ShuffleNetV2", "torchvision"), ("DenseNet", "timm")}


@pytest.fixture
def network(family, library) -> nn.Module:
    return copy.deepcopy(build(family, library))


def images(n: int, height: int, width: int) -> Tensor:
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def batch(family, library) -> Tensor:
    side = images_of(family, library).side
    return images(2, side, side)


def run(model: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x)


@pytest.mark.parametrize(("family", "library", "mechanism"), cover(CELLS, (0, 1), (2,)))
def test_contract(network, batch, family, library, mechanism):
    plain, state = run(network, batch), copy.deepcopy(network.state_dict())

    # The output is bit-equal at the start with identity_init, in eval and with the batch's statistics.
    reference = copy.deepcopy(network).train()
    attach(network, mechanism, identity_init=True)
    assert torch.equal(run(network, batch), plain)
    torch.manual_seed(3)
    expected = run(reference, batch)
    torch.manual_seed(3)  # stochastic depth, dropout
    assert torch.equal(run(copy.deepcopy(network).train(), batch), expected)
    foveate.detach(network)

    # Every key of the backbone is kept; the others are the attention's; it runs at every site, once.
    torch.manual_seed(4)
    attach(network, mechanism)
    new = foveate.load_weights(network, state)
    assert [key for key in network.state_dict() if key not in state] == new
    calls = []
    for module in attached(network).values():
        module.register_forward_hook(lambda module, args, y: calls.append(module))
    attended = run(network, batch)
    assert calls == list(attached(network).values())
    assert attended.isfinite().all()
    assert not torch.equal(attended, plain)

    # A copy, channels-last, odd sizes and half precision.
    assert torch.equal(run(copy.deepcopy(network), batch), attended)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        run(last, batch.to(memory_format=torch.channels_last)), attended, rtol=1e-3, atol=1e-3
    )
    if odd := images_of(family, library).odd:
        assert run(network, images(1, *odd)).isfinite().all()
    with torch.autocast("cpu", torch.bfloat16):
        assert run(network, batch).isfinite().all()

    # Every parameter learns.
    learning = copy.deepcopy(network).train()
    learning(batch).square().sum().backward()
    assert [name for name, parameter in learning.named_parameters() if parameter.grad is None] == []
    assert all(parameter.grad.isfinite().all() for parameter in learning.parameters())

    # Detaching gives the network back, bit for bit.
    foveate.detach(network)
    assert list(network.state_dict()) == list(state)
    assert torch.equal(run(network, batch), plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "library"),
    [pytest.param(*of, marks=[] if of in EXPORTED else [pytest.mark.full]) for of in FAMILIES],
)
def test_exports_whole(network, batch):
    attach(network, "dmsca")
    program = torch.export.export(network, (batch,), strict=False)
    torch.testing.assert_close(program.module()(batch), run(network, batch), rtol=1e-4, atol=1e-4)


HEAD = """\
# Each mechanism in each family of networks

Written by `FOVEATE_WRITE_DOCS=1 python -m pytest tests/models/test_families.py -k docs`; the same test
compares it with the code. For a cell, `test_contract` in that file attaches the mechanism to a network of the
family and asserts

- the output, bit-equal at the start with `identity_init`, in evaluation and in training mode;
- that each key of the backbone is kept, and that its weights load after attaching;
- that attention runs once at each site;
- the same output from a copy and in channels-last;
- finite maps of odd sizes, in families that take several sizes, and under bfloat16 autocast;
- a finite gradient for each parameter;
- the original network, bit for bit, after `detach`.

`make test` runs it for a cover: each family and each mechanism once. `make test-all` runs it for each cell.

What a mechanism guarantees by itself, on any map and in any precision, compiled, exported and in parallel, is
in `tests/attention`.

A cell gives the number of sites at which the paper of the mechanism places it (in DenseNets, which have no
residual blocks: at the ends of the stages; in ViTs, which have one stage, a mechanism for the ends of stages
is there once), and the parameters that it adds with the options of the paper. A
dash means that the paper's `reduction` leaves no channel at the narrowest site; the test uses a smaller one.
"""


def table() -> str:
    """The table of the docs: sites and parameters of every mechanism in every family."""
    lines = [HEAD]
    mechanisms = foveate.list_attention()
    for library in ("timm", "torchvision"):
        names = [(family, name) for (family, of), name in FAMILIES.items() if of == library]
        lines += [
            f"## {library}",
            "",
            "| |" + "".join(f" {family} `{name}` |" for family, name in names),
            "|:--|" + "--:|" * len(names),
        ]
        networks = [without_memory(family, library) for family, _ in names]
        for mechanism in mechanisms:
            cells = [_cell(network, mechanism) for network in networks]
            lines.append(f"| `{mechanism}` | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(network: nn.Module, mechanism: str) -> str:
    plain = sum(parameter.numel() for parameter in network.parameters())
    with torch.device("meta"):
        try:
            foveate.attach(network, mechanism, where=place(network, mechanism))
        except foveate.errors.RequestError:
            return "–"
    added = sum(parameter.numel() for parameter in network.parameters()) - plain
    count = len(attached(network))
    foveate.detach(network)
    return f"{count}: +{magnitude(added)}"


@pytest.mark.full
def test_docs_hold_the_table():
    if os.environ.get("FOVEATE_WRITE_DOCS"):
        DOCS.write_text(table(), encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == table()
