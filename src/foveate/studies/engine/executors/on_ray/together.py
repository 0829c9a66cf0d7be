"""One run on several nodes of a Ray cluster, by Ray Train."""

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from foveate.errors import WorkError
from foveate.studies.engine.executors.need import GIB, Need
from foveate.studies.engine.executors.runners import failed_run

__all__ = ["carry_out_together"]


def carry_out_together(carry_out: Callable[[], Any], need: Need, storage: str, retries: int) -> Any:
    """Call `carry_out` in all processes of a run, and return the result of the first; in a task of Ray.

    Ray Train keeps for each process its part of `need`, on as few nodes as have room, and joins them to a
    process group. When one is lost, all are started again, and the run resumes from its checkpoint.

    Args:
        carry_out: an error that it raises in the first process is the run's: it is not tried again.
        need: of one node; its `nodes` and `processes` give the number of processes.
        storage: a folder that all nodes see, in which Ray Train may write.
        retries: times that the processes are started again.

    Raises:
        WorkError: the run failed, or its processes were lost too often.
    """
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    part = {"CPU": need.cpus / need.processes, "memory": need.memory * GIB / need.processes}
    name = f"{time.time_ns()}"
    trainer: Any = TorchTrainer(
        partial(_result_or_error, carry_out),
        scaling_config=ScalingConfig(
            num_workers=need.nodes * need.processes,
            use_gpu=need.gpus > 0,
            resources_per_worker=part | ({"GPU": 1} if need.gpus else {}),
        ),
        run_config=RunConfig(
            name=name, storage_path=storage, failure_config=FailureConfig(max_failures=retries)
        ),
    )
    try:
        result = trainer.fit().return_value
    finally:
        shutil.rmtree(Path(storage) / name, ignore_errors=True)
    if isinstance(result, WorkError):
        raise result
    return result


def _result_or_error(carry_out: Callable[[], Any]) -> Any:
    """Return an error as a value: what is raised here, Ray Train takes for a lost process."""
    try:
        return carry_out()
    except Exception as error:
        return failed_run(error)
