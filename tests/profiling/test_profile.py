import json

import pytest
import torch

from foveate.errors import RequestError, WorkError
from foveate.evaluation import roofline
from foveate.profiling import engine
from foveate.profiling.networks import count_candidate, make_ready, refusals
from foveate.profiling.settings import ProfileSettings
from foveate.profiling.spec import make_profile
from foveate.records.profile import ProfileRecord
from foveate.report.profile.build import write_profile
from foveate.report.profile.tables import runtime_table
from foveate.studies.spec.candidate import Candidate

SETTINGS = {
    "backbone": "cifar_resnet20",
    "attention": "se,simam",
    "device": "cpu",
    "threads": 1,
    "seconds": 0.0,
}
# The maps at the sites of a cifar_resnet20 for one image of 32×32.
SITE_ELEMENTS = 3 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)


def spec_with(**changes):
    return make_profile(ProfileSettings(**SETTINGS | changes))


@pytest.fixture(scope="module", autouse=True)
def briefly_timed():
    """Time the parts of a mechanism as seldom as can be, and take smaller arrays for the bound of memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foveate.profiling.engine.DETAIL_SECONDS", 0.0)
        patch.setitem(roofline.ARRAY_BYTES, "cpu", 2**22)
        yield


def profile(spec):
    return engine.profile(spec).to_json()


@pytest.fixture(scope="module")
def record():
    return profile(spec_with(attention="se,simam,dmsca(reduction=4)", detail=True))


def row_of(record, label):
    return next(row for row in record["rows"] if row["attention"] == label)


def test_the_path_that_ran_is_in_the_record(record):
    assert row_of(record, "none")["paths"] == {}
    assert row_of(record, "dmsca(reduction=4)")["paths"] == {"numba": 9}
    asked = profile(spec_with(attention="dmsca(reduction=4)", path="rearranged"))
    assert row_of(asked, "dmsca(reduction=4)")["paths"] == {"rearranged": 9}
    training = profile(spec_with(attention="dmsca(reduction=4)", mode="training", batch_size=2))
    assert row_of(training, "dmsca(reduction=4)")["paths"] == {"numba": 9}
    with pytest.raises(RequestError, match="ECA"):
        profile(spec_with(attention="eca", path="numba"))


def test_one_thread_is_tried_where_two_leave_plain_far_from_the_bound(record, monkeypatch):
    monkeypatch.setattr("foveate.profiling.engine.ROOM", 1.0)  # on any machine it is far from this bound
    assert record["timing"]["plain_one_thread_ms"] is None  # there was one already
    assert 0 < record["timing"]["cpu_share"] <= 1
    before = torch.get_num_threads()
    try:
        found = profile(spec_with(attention="none", threads=2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    one = found["timing"]["plain_one_thread_ms"]
    assert one is not None
    assert one > 0


def test_plain_comes_first_asked_for_or_not():
    for attention in ("se,simam", "none,se,simam", "se,none,simam"):
        assert spec_with(attention=attention).as_record().attention == ("none", "se", "simam")


def test_what_is_not_given_is_the_backbones(monkeypatch):
    spec = spec_with()
    assert spec.input_shape == (1, 3, 32, 32)
    assert spec.classes == 10
    assert spec_with(backbone="resnet18").input_shape[2:] == (224, 224)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert spec_with(threads=None).threads == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet5O"}, "unknown backbone 'resnet5O'. Did you mean 'resnet50'"),
        ({"backbone": "resnet18.nothing"}, "Leave out what follows the dot"),
        ({"attention": "dmcsa"}, "unknown attention 'dmcsa'. Did you mean 'dmsca'?"),
        ({"attention": "se,se"}, "names se more than once"),
        ({"dtype": "int8"}, "unknown dtype 'int8'. Choices: bfloat16, float16, float32."),
        ({"memory_format": "nhwc"}, "unknown memory format 'nhwc'"),
        ({"mode": "train"}, "unknown mode 'train'. Did you mean 'training'?"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"threads": 100_000}, "--threads 100000: expected at most"),
        ({"backbone": "torchvision/resnet81"}, "Did you mean 'torchvision/resnet18'"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not available"),
        ({"seconds": float("inf")}, "--seconds must be a finite number of at least 0, got inf"),
        ({"seconds": float("nan")}, "--seconds must be a finite number of at least 0, got nan"),
        ({"graph": True}, "--graph captures CUDA graphs, and the device is cpu: leave out --graph"),
        ({"mode": "training", "detail": True}, "leave out --detail, or --mode training"),
    ],
)
def test_wrong_requests_say_what_to_do(changes, message):
    with pytest.raises(RequestError) as error:
        spec_with(**changes)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "vgg11"}, "se on vgg11: the blocks of VGG are not known"),
        ({"attention": "se(reduction=0)"}, "reduction must be a whole number of at least 1, got 0"),
        (
            {"backbone": "vit_tiny_patch16_224", "attention": "none", "image_size": 65},
            "give another --image-size",
        ),
        ({"mode": "training", "image_size": 1}, "give another --image-size or --batch-size"),
        (
            {"backbone": "resnet50", "attention": "gam(kernel_size=101,reduction=1)"},
            "billion parameters; expected at most 1 billion: give smaller options",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused_before_anything_is_measured(changes, message):
    with pytest.raises(RequestError) as error:
        profile(spec_with(**changes))
    assert message in str(error.value)


def test_a_record_has_every_figure_and_is_json(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [row["attention"] for row in record["rows"]] == ["none", "se", "simam", "dmsca(reduction=4)"]
    assert record["timing"]["rounds"] == 11
    assert record["environment"]["threads"] == 1
    assert record["settings"]["image_size"] == 32
    plain, *others = record["rows"]
    assert plain["latency_ratio"] == 1
    assert (
        plain["sites"] == plain["macs_added"] == plain["bytes_moved_added"] == plain["peak_bytes_added"] == 0
    )
    assert plain["roofline"] is None
    for row in others:
        assert row["sites"] == 9
        assert row["latency_ms_p95"] >= row["latency_ms_p50"] > 0
        low, high = row["latency_ratio_ci95"]
        assert low <= row["latency_ratio"] <= high
        assert row["images_per_second"] == pytest.approx(1e3 / row["latency_ms_p50"])
        assert row["latency_added_ms"] == pytest.approx((row["latency_ratio"] - 1) * plain["latency_ms_p50"])
        assert row["peak_bytes"] == row["held_bytes"] + row["step_peak_bytes"]
        assert row["compile_seconds"] is None


def test_simam_costs_nothing_that_is_usually_counted_and_much_that_is_not(record):
    row = row_of(record, "simam")
    assert row["parameters_added"] == row["macs_added"] == 0
    # + λ and 4 times work on one element a channel; there are three sites of each width.
    assert row["element_wise_added"] == 8 * SITE_ELEMENTS + 2 * 3 * (16 + 32 + 64)
    assert row["element_wise_increase_percent"] > 100


def test_parameters_and_weights_count_as_held(record):
    row = row_of(record, "se")
    assert row["parameters_added"] == sum(3 * (2 * c * (c // 16) + c // 16 + c) for c in (16, 32, 64))
    plain = record["rows"][0]
    assert row["held_bytes"] - plain["held_bytes"] == 4 * row["parameters_added"]


def test_roofline_by_hand(record):
    row, machine = row_of(record, "simam"), record["machine"]
    roofline = row["roofline"]
    assert roofline["least_reads_writes"] == [2, 1]
    assert roofline["least_bytes"] == 3 * 4 * SITE_ELEMENTS
    assert roofline["memory_ms"] == pytest.approx(1e3 * row["bytes_moved_added"] / machine["bandwidth"])
    assert roofline["arithmetic_ms"] == pytest.approx(1e3 * row["element_wise_added"] / machine["flops"])
    bound = max(roofline["memory_ms"], roofline["arithmetic_ms"])
    assert roofline["bound"] == ("memory" if bound == roofline["memory_ms"] else "arithmetic")
    assert roofline["added_over_bound"] == pytest.approx(row["latency_added_ms"] / bound)


def test_detail_names_the_parts_in_order_of_call(record):
    parts = row_of(record, "dmsca(reduction=4)")["parts_ms"]
    assert list(parts) == ["gce", "tca", "msce", "dii", "dff", "aa", "the rest", "in total"]
    assert row_of(record, "none")["parts_ms"] is None
    assert row_of(record, "simam")["parts_ms"]["the rest"] == row_of(record, "simam")["parts_ms"]["in total"]


def test_work_of_an_image_is_that_of_every_batch():
    spec, batch = spec_with(), spec_with(batch_size=4)
    one, four = (count_candidate(spec_, Candidate(name="simam")).work for spec_ in (spec, batch))
    assert (4 * one.multiply_adds, 4 * one.element_wise) == (four.multiply_adds, four.element_wise)
    assert one.bytes_moved < four.bytes_moved < 4 * one.bytes_moved  # weights are read once a batch
    half = count_candidate(spec_with(dtype="bfloat16"), Candidate(name="se")).work
    assert half.bytes_moved == count_candidate(spec, Candidate(name="se")).work.bytes_moved / 2


def test_networks_of_torchvision_are_taken_as_compare_takes_them():
    spec = spec_with(backbone="torchvision/resnet18", attention="se")
    assert spec.input_shape == (1, 3, 224, 224)
    counted = count_candidate(spec, spec.attention[1])
    assert (counted.sites, counted.parameters) == (8, 11_689_512 + 89_080)


def test_candidates_have_the_backbones_weights_alike_and_no_map_of_zeros():
    spec = spec_with(backbone="resnet18", image_size=32)
    plain, se = (make_ready(spec, Candidate(name=name)).network.state_dict() for name in ("none", "se"))
    for key, weight in plain.items():
        assert torch.equal(weight, se[key])
    assert (plain["layer1.0.bn2.weight"] == 0.5).all()


def test_a_gate_that_starts_closed_is_seen_through():
    record = profile(spec_with(attention="cbam(identity_init=True)", detail=True))
    assert list(record["rows"][1]["parts_ms"]) == ["channel", "spatial", "the rest", "in total"]


def test_training_steps_in_half_precision_and_channels_last():
    spec = spec_with(
        mode="training", attention="dmsca", batch_size=2, dtype="bfloat16", memory_format="channels_last"
    )
    record = profile(spec)
    plain, dmsca = record["rows"]
    forward = count_candidate(spec_with(), Candidate(name="none")).work
    assert 2.9 < plain["macs"] / forward.multiply_adds < 3  # backward is twice, without the images' gradient
    work = count_candidate(spec, Candidate(name="dmsca")).work
    assert [2 * dmsca[key] for key in ("element_wise", "bytes_moved")] == [
        work.element_wise,
        work.bytes_moved,
    ]
    assert dmsca["roofline"]["least_ms"] is None
    assert dmsca["peak_bytes_added"] > 0
    # Weights, momentum and buffers in two bytes each.
    assert dmsca["held_bytes"] > 2 * 2 * dmsca["parameters"]


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (RuntimeError("\"conv\" not implemented for 'Half'"), RequestError, "give another --dtype"),
        (torch.OutOfMemoryError("CUDA out of memory"), WorkError, "lower --batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), WorkError, "lower --batch-size"),
        (
            RuntimeError("something else\nwith a trace"),
            WorkError,
            "cannot run se on cpu: RuntimeError: something else",
        ),
        (RequestError("as it was"), RequestError, "as it was"),
    ],
)
def test_what_torch_raises_is_said_in_a_line(raised, expected, message):
    with pytest.raises(expected) as error, refusals(spec_with(), "se"):
        raise raised
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_own_attention_of_the_backbone_is_said_and_replaced_where_that_is_asked_for():
    changes = {"backbone": "mobilenetv3_small_050", "attention": "eca", "image_size": 32}
    on_top, replaced = profile(spec_with(**changes)), profile(spec_with(**changes, replace_own=True))
    said = [record["warnings"][0]["text"] for record in (on_top, replaced)]
    assert "mechanisms are added on top of it; --replace-own" in said[0]
    assert "which is replaced" in said[1]
    assert "replace_own" not in on_top["settings"]
    assert replaced["settings"]["replace_own"] is True
    assert row_of(replaced, "none")["parameters"] < row_of(on_top, "none")["parameters"]
    assert row_of(replaced, "eca")["sites"] != row_of(on_top, "eca")["sites"]
    with pytest.raises(RequestError, match="cifar_resnet20 has no attention of its own"):
        profile(spec_with(replace_own=True))


@pytest.fixture(scope="module")
def deployed():
    spec = spec_with(
        backbone="cifar_resnet8", attention="se", threads=None, runtime=("onnxruntime",), precision=("int8",)
    )
    return engine.profile(spec)


def test_another_runtime_takes_turns_with_torch(deployed):
    settings, rows = deployed.settings, deployed.runtime_rows
    assert (settings.threads, settings.runtime, settings.precision) == (1, ("onnxruntime",), ("fp32", "int8"))
    assert settings.calibrated_with == "8 images of random numbers"
    assert [(row.attention, row.precision, row.gates) for row in rows] == [
        ("none", "fp32", None),
        ("none", "int8", None),
        ("se", "fp32", None),
        ("se", "int8", "fp32"),
    ]
    of_torch = {row.attention: row for row in deployed.rows}
    for row in rows:
        assert 0 < row.latency_ms_p50 <= row.latency_ms_p95
        torch_ms = of_torch[row.attention]  # on a busy machine the times of single steps differ by much
        least, most = (
            row.latency_ms_p50 / torch_ms.latency_ms_p95,
            row.latency_ms_p95 / torch_ms.latency_ms_p50,
        )
        assert least / 2 < row.eager_ratio < 2 * most
        assert (row.latency_ratio == 1) == (row.attention == "none")
        low, high = row.eager_ratio_ci95
        assert low <= row.eager_ratio <= high
    by_form = {(row.attention, row.precision): row.bytes for row in rows}
    assert by_form["none", "int8"] < by_form["none", "fp32"] < by_form["se", "fp32"]
    assert ProfileRecord.model_validate(deployed.to_json()) == deployed


def test_another_runtime_has_its_table(deployed, tmp_path):
    write_profile(deployed, tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert '<h2 id="deployed">As deployed</h2>' in page
    assert "run by onnxruntime, on 1 thread" in page
    assert len((tmp_path / "runtimes.md").read_text().splitlines()) >= 8
    table = runtime_table(deployed)
    assert [row[1].main for row in table.rows] == 2 * ["torch", "onnxruntime fp32", "onnxruntime int8"]


def test_a_profile_of_torch_alone_is_written_as_before(record):
    assert "runtime_rows" not in record
    assert {"runtime", "precision", "quantise_gates", "calibrated_with"} & set(record["settings"]) == set()
