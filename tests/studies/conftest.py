"""What the tests of studies have in common: worker processes that do not import everything each."""

import multiprocessing

import pytest


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork workers from a server that has the imports; how they start from nothing is tested elsewhere."""
    get_context, server = multiprocessing.get_context, multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["foveate.studies.compare", "foveate.studies.search"])
    monkeypatch.setattr(
        multiprocessing,
        "get_context",
        lambda method=None: server if method == "spawn" else get_context(method),
    )
