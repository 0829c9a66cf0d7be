"""What the report says of the machines that trained the runs."""

from foveate.records.environment import Environment
from foveate.report.study.devices import machine_sentences

CPU = Environment(processor="Xeon", accelerator="cpu")
GPU = Environment(processor="Xeon", accelerator="H100")


def test_one_kind_of_machine_is_nothing_to_speak_of() -> None:
    assert machine_sentences([("none", 0, CPU), ("se", 0, CPU)]) == ()
    assert machine_sentences([]) == ()


def test_kinds_are_named_and_seeds_that_mix_them_are_a_caution() -> None:
    apart = machine_sentences([("none", 0, CPU), ("se", 0, CPU), ("none", 1, GPU), ("se", 1, GPU)])
    assert apart == (
        "The runs were trained on several kinds of machine: 2 runs on Xeon and 2 runs on Xeon, H100.",
    )
    mixed = machine_sentences([("none", 0, CPU), ("se", 0, GPU), ("none", 1, GPU), ("se", 1, GPU)])
    assert mixed[1].startswith("Of seed 0, runs of different kinds are compared")


def test_the_hosts_that_a_scheduler_chose_are_named() -> None:
    hosts = [GPU.model_copy(update={"host": host}) for host in ("b", "a", "b")]
    runs = [("none", seed, host) for seed, host in enumerate(hosts)]
    assert machine_sentences(runs) == ("A scheduler chose the machines: 1 run on a and 2 runs on b.",)
