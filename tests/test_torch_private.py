"""Every private name of torch that foveate uses is there, and all of them are used in one file."""

import ast
import re
from pathlib import Path

import pytest
import torch
import torch._dynamo.config
import torch._inductor.utils
import torch.autograd.forward_ad
import torch.nn.modules.module
import torch.utils._python_dispatch
import torch.utils._pytree
from torch.profiler import ProfilerActivity, profile

import foveate
from foveate import torch_private

ROOT = Path(foveate.__file__).parent
FILE = ROOT / "torch_private.py"

with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as PROFILED:
    torch.zeros(1024)
EVENT = next(e for e in PROFILED.profiler.kineto_results.events() if e.name() == "[memory]")
SAMPLES = {
    "torch": torch,
    "module": torch.nn.ReLU(),
    "overload": torch.ops.aten.add_.Tensor,
    "storage": torch.zeros(1).untyped_storage(),
    "profile": PROFILED,
    "event": EVENT,
}
NAMES = [
    "event.nbytes",
    "event.start_ns",
    "module._buffers",
    "module._compiled_call_impl",
    "module._forward_hooks",
    "module._forward_pre_hooks",
    "module._modules",
    "module._parameters",
    "overload._overloadpacket",
    "overload._schema",
    "profile.profiler.kineto_results.events",
    "storage._cdata",
    "torch._C.DispatchKey.AutogradFunctionality",
    "torch._C._SetExcludeDispatchKeyGuard",
    "torch._C._functorch.peek_interpreter_stack",
    "torch._C._is_tracing",
    "torch._C._len_torch_dispatch_stack",
    "torch._dynamo.config.patch",
    "torch._dynamo.config.recompile_limit|cache_size_limit",
    "torch._inductor.utils.fresh_cache|fresh_inductor_cache",
    "torch.autograd.forward_ad._current_level",
    "torch.nn.modules.module._global_forward_hooks",
    "torch.nn.modules.module._global_forward_pre_hooks",
    "torch.utils._python_dispatch.TorchDispatchMode",
    "torch.utils._pytree.tree_flatten_with_path",
    "torch.utils._pytree.tree_leaves",
    "torch.utils._pytree.tree_map_only",
]
"""What torch_private.py uses; a bar stands between the names that one thing has in different releases."""


@pytest.mark.parametrize("name", NAMES)
def test_torch_still_has(name: str) -> None:
    *path, last = name.split(".")
    found = SAMPLES[path[0]]
    for part in path[1:]:
        assert hasattr(found, part), f"torch {torch.__version__} has no {part} any more, of {name}"
        found = getattr(found, part)
    assert any(hasattr(found, one) for one in last.split("|")), f"torch {torch.__version__} has no {name}"


def test_what_torch_compile_wraps_is_found() -> None:
    inner = torch.nn.ReLU()
    assert torch_private.compiled_original(torch.compile(inner)) is inner
    assert torch_private.compiled_original(inner) is None
    assert not torch_private.is_compiled_in_place(inner)
    inner.compile()
    assert torch_private.is_compiled_in_place(inner)


def test_modes_of_the_thread_are_seen() -> None:
    assert not torch_private.is_transformed()
    assert not torch_private.has_dispatch_mode()
    assert not torch_private.needs_every_operation()
    with torch.autograd.forward_ad.dual_level():
        assert torch_private.is_transformed()
        assert torch_private.needs_every_operation()
    assert torch.func.vmap(lambda x: x + torch_private.is_transformed())(torch.zeros(2)).all()
    with torch.utils.flop_counter.FlopCounterMode(display=False):
        assert torch_private.has_dispatch_mode()
        assert torch_private.needs_every_operation()


def test_tables_are_torchs_own() -> None:
    module = torch.nn.BatchNorm2d(2)
    torch_private.parameters_of(module)["weight"] = None
    assert module.weight is None
    torch_private.buffers_of(module)["running_mean"] = torch.ones(2)
    assert module.running_mean.sum() == 2
    handle = module.register_forward_hook(lambda *_: None)
    assert [len(table) for table in torch_private.forward_hooks_of(module)] == [1, 0]
    handle.remove()
    before = [len(table) for table in torch_private.global_forward_hooks()]
    handle = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: None)
    assert [len(table) for table in torch_private.global_forward_hooks()] == [before[0], before[1] + 1]
    handle.remove()


def test_schema_storage_and_allocations() -> None:
    overload = torch.ops.aten.add_.Tensor
    assert torch_private.operator_of(overload) is torch.ops.aten.add_
    written = [one.name for one in torch_private.arguments_of(overload) if one.is_written]
    assert written == ["self"]
    x = torch.zeros(4, device="meta")
    assert torch_private.storage_id(x) == torch_private.storage_id(x[1:])
    assert torch_private.storage_id(x) != torch_private.storage_id(torch.zeros(4, device="meta"))
    assert 4096 in [size for _, size in torch_private.allocations(PROFILED)]


def private_names(file: Path) -> set[str]:
    """The private names of torch that a file imports, or takes as attributes."""
    attributes = {name.rpartition(".")[2] for name in NAMES} | {"_orig_mod", "_C", "kineto_results"}
    private = {one for name in attributes for one in name.split("|") if one.startswith("_")}
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and (
            node.attr in private
            or re.match(r"torch\._[^_]", ast.unparse(node))
            or node.attr == "kineto_results"
        ):
            found.add(ast.unparse(node))
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        base = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
        found |= {
            f"{base}{name}" for name in names if f"{base}{name}".startswith("torch.") and "._" in base + name
        }
    return found


def test_no_other_file_uses_a_private_name_of_torch() -> None:
    users = {
        str(file.relative_to(ROOT)): names
        for file in ROOT.rglob("*.py")
        if file != FILE and (names := private_names(file))
    }
    assert users == {}


def test_every_private_name_that_is_used_is_looked_up() -> None:
    listed = {one for name in NAMES for part in name.split(".") for one in part.split("|")} | {"_orig_mod"}
    used = {part for name in private_names(FILE) for part in name.split(".") if part.startswith("_")}
    assert used
    assert used <= listed
