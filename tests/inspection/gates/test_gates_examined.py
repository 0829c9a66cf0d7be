"""The gates of trained networks are replaced on real images; the record resumes."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

import foveate
from foveate.data import load_data, seen
from foveate.errors import RequestError
from foveate.inspection.examine import Work
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.find_trained import find_trained
from foveate.inspection.gates.engine import examine_gates
from foveate.inspection.gates.images import answered_images, mean_images
from foveate.inspection.gates.settings import GateSettings
from foveate.inspection.settings import OtherImages
from foveate.models.sites.gates import Gate, recorded_gates
from foveate.records.environment import Environment
from foveate.records.files import read_record
from foveate.records.gates import GatesRecord, Replacement

CLASSES = ("dark", "light")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two classes of noise, 16×16, which untrained networks answer by chance."""
    root = tmp_path_factory.mktemp("images") / "set"
    generator = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 20)):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            for k in range(count):
                pixels = generator.integers(0, 256, (16, 16, 3)) * generator.uniform(0.2, 1)
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of small networks, by mechanism, whose gates differ from image to image."""
    folder = tmp_path_factory.mktemp("networks")
    files = {}
    for name in ("none", "se", "sgfa", "a2"):
        torch.manual_seed(1)
        model = timm.create_model("cifar_resnet8", num_classes=2)
        if name != "none":
            foveate.attach(model, name, **({"reduction": 8} if name != "a2" else {}))
        for path, module in model.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
            if "attention" in path and isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=1.0)
        nn.init.normal_(model.fc.weight)
        noise = torch.rand(64, 3, 16, 16) * torch.rand(64, 1, 1, 1)
        with torch.no_grad():  # both classes are answered: a replaced gate can change some of the answers
            model.fc.bias -= model.eval()((noise - 0.4) / 0.2).mean(dim=0)
        preprocessing = {"input_size": (3, 16, 16), "mean": (0.4,) * 3, "std": (0.2,) * 3}
        preprocessing |= {"interpolation": "bilinear", "crop_pct": 1.0, "crop_mode": "center"}
        files[name] = str(folder / f"{name}.safetensors")
        foveate.save(model.eval(), files[name], classes=CLASSES, preprocessing=preprocessing)
    return files


class Run:
    """One request, its record, and its progress."""

    def __init__(
        self,
        sources: list[str],
        folder: Path,
        source: Path | None = None,
        limit: int = 1000,
        margin: float = 0.5,
    ) -> None:
        self.progress: list[tuple[str, float, int, str]] = []
        work = Work(
            find_trained(sources),
            folder,
            torch.device("cpu"),
            "",
            Environment(),
            lambda *progress: self.progress.append(progress),
        )
        settings = GateSettings(gates=True, margin=margin)
        maps = ExplainSettings(limit=limit, batch_size=7)
        path = examine_gates(work, settings, maps, OtherImages(data=source and str(source)))
        self.record = read_record(path, GatesRecord)


def answers(model: nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model((pixels - 0.4) / 0.2).argmax(dim=1) == labels


def test_scores_are_those_of_the_network_with_its_gate_replaced_by_hand(networks, images, tmp_path):
    """A mean is over training images: the set has no validation part, and no run held one out."""
    record = Run([networks["se"]], tmp_path, images).record
    (row,) = record.rows
    assert (row.label, row.images, row.means_of, row.mean_images) == ("se", 40, "training", 16)
    assert [gate.site for gate in row.gates] == ["layer1.0", "layer2.0", "layer3.0"]
    data = load_data(str(images), image_size=16)
    test, labels = data.test.__getitems__(np.arange(40))
    train, _ = data.train.__getitems__(np.arange(16))
    test, train = seen(test, 16), seen(train, 16)
    model = foveate.load(networks["se"]).eval()
    right = answers(model, test, labels)
    assert row.accuracy == right.double().mean().item()
    gate = Gate("layer2.0.bn2.attention")
    with recorded_gates(model, [gate]) as values:
        answers(model, train, torch.zeros(16, dtype=torch.long))
    values = values[gate]

    class Constant(nn.Module):
        placement = model.layer2[0].bn2.attention.placement

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * values.mean(dim=(0, 2, 3), keepdim=True)

    model.layer2[0].bn2.attention = Constant()
    replaced = answers(model, test, labels)
    score = row.gates[1].replaced[Replacement.CHANNEL]
    assert (score.accuracy, score.lost, score.gained) == (
        replaced.double().mean().item(),
        int((right & ~replaced).sum()),
        int((~right & replaced).sum()),
    )
    assert row.gates[1].replaced[Replacement.WHOLE] == score  # a channel gate has no positions
    varied = values.double().numpy()
    assert row.gates[1].mean == pytest.approx(varied.mean(), rel=1e-5)
    assert row.gates[1].share == pytest.approx(varied.var(axis=0).mean() / varied.var(), rel=1e-4)
    assert row.gates[1].spatial_share == pytest.approx(1.0)


def test_the_answers_do_change_and_sgfa_has_three_gates_a_site(networks, images, tmp_path):
    record = Run([networks["se"], networks["sgfa"]], tmp_path, images).record
    se, sgfa = record.rows
    assert [gate.factor for gate in sgfa.gates] == ["M_s", "M_c", "gate"] * 3
    for row in (se, sgfa):
        scores = [score for gate in row.gates for score in gate.replaced.values()]
        assert any(score.lost + score.gained for score in scores)
        for score in [*scores, *row.together.values()]:
            right = round(row.accuracy * 40) - score.lost + score.gained
            assert score.accuracy == pytest.approx(right / 40)
        assert set(row.together) == set(Replacement)
    spatial, channel, _ = sgfa.gates[:3]
    assert spatial.replaced[Replacement.WHOLE] == spatial.replaced[Replacement.SPATIAL]
    assert channel.replaced[Replacement.WHOLE] == channel.replaced[Replacement.CHANNEL]


def test_it_resumes_and_the_margin_measures_nothing_again(networks, images, tmp_path):
    first = Run([networks["se"]], tmp_path, images)
    assert [done for _, done, _, _ in first.progress][:1] == [0]
    assert first.progress[-1] == ("gates", 1, 1, "se")
    both = Run([networks["se"], networks["sgfa"]], tmp_path, images, margin=2)
    assert {detail for *_, detail in both.progress} == {"sgfa"}
    assert both.record.rows[0] == first.record.rows[0]
    assert both.record.settings.margin == 0.02
    assert Run([networks["sgfa"]], tmp_path, images).progress == []
    assert Run([networks["se"]], tmp_path, images, limit=8).progress != []


def test_what_has_no_gate_is_excluded_by_name_and_the_baseline_is_not_asked(networks, images, tmp_path):
    record = Run([networks["none"], networks["a2"], networks["se"]], tmp_path, images).record
    assert [one.name for one in record.networks] == ["a2", "se"]
    assert [row.label for row in record.rows] == ["se"]
    assert record.left_out == (
        "a2 (a2), 2 sites (layer2 and layer3): its output is not 0 where its input is 0, so it is no product "
        "of the input and a gate.",
    )
    assert record.unmeasured == ["a2"]
    with pytest.raises(RequestError, match="none has no attention, and so no gates: give networks"):
        Run([networks["none"]], tmp_path, images)


def test_one_image_has_no_other_images_gate(networks, images, tmp_path):
    record = Run([networks["se"]], tmp_path, images, limit=1).record
    assert set(record.rows[0].together) == {Replacement.WHOLE, Replacement.CHANNEL, Replacement.SPATIAL}
    assert record.rows[0].mean_images == 1
    assert record.warnings == (
        "There is one test image: no gate could be replaced by that of another image.",
    )


def test_answers_that_are_not_finite_exclude_a_network(networks, images, tmp_path):
    model = foveate.load(networks["se"])
    nn.init.constant_(model.fc.bias, float("nan"))
    foveate.save(model, tmp_path / "lost.safetensors")
    record = Run([str(tmp_path / "lost.safetensors"), networks["sgfa"]], tmp_path, images).record
    assert [row.label for row in record.rows] == ["sgfa"]
    assert record.left_out == ("lost (se): its answers are not finite",)


def test_the_means_of_a_run_are_over_the_images_that_it_was_validated_on(trained_bands):
    (one, *_) = [one for one in find_trained([str(trained_bands)]) if one.label == "se"]
    assert one.spec is not None
    data = load_data(one.spec.data.source)
    _, held = data.split(one.spec.seed, one.spec.recipe.validation_fraction)
    chosen = mean_images(one, data, 1000)
    assert chosen.part == "validation"
    assert sorted(chosen.rows) == sorted(held)
    assert len(mean_images(one, data, 2)) == 2


def test_test_images_are_in_a_random_order_that_stays_in_batches_of_two_or_more(images):
    data = load_data(str(images))
    chosen = answered_images(data, 1000)
    assert sorted(chosen.rows) == list(range(40))
    assert list(chosen.rows) != list(range(40))
    assert list(chosen.rows) == list(answered_images(data, 1000).rows)
    assert [len(rows) for rows in answered_images(data, 3).batches(2)] == [3]
    assert [len(rows) for rows in chosen.batches(39)] == [20, 20]
    assert [len(rows) for rows in answered_images(data, 1).batches(50)] == [1]


@pytest.mark.parametrize(
    ("gates", "maps", "said"),
    [
        (
            {"gates": True, "margin": 0.0},
            {},
            "--margin must be a number of points above 0 and below 50, got 0",
        ),
        ({"margin": 1.0}, {}, "--margin is what counts as a constant gate: give --gates, too"),
        ({"gates": True}, {"layer": "layer3"}, "--layer is for heat maps, and --gates makes none"),
        ({"gates": True}, {"images": Path("any")}, "--images is for heat maps"),
    ],
)
def test_settings_without_an_effect_are_refused(gates, maps, said):
    with pytest.raises(RequestError, match=said):
        GateSettings(**gates).check(ExplainSettings(**maps))
    GateSettings(gates=True).check(ExplainSettings(limit=5))
