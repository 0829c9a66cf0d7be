"""The flags of every command: their names, their defaults, their help, and what is refused."""

import inspect
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
from cyclopts import Group
from rich.console import Console

from foveate.cli.epilogues import EXAMPLES
from foveate.cli.main import COMMANDS, app
from foveate.errors import RequestError
from foveate.inspection.check.settings import CheckSettings
from foveate.inspection.deployment.settings import DeploymentSettings, ExportSettings
from foveate.inspection.explain.settings import ExplainSettings
from foveate.inspection.fold.settings import FoldSettings
from foveate.inspection.gates.settings import GateSettings
from foveate.inspection.robustness.settings import RobustnessSettings
from foveate.inspection.settings import ExaminationSettings, OtherImages
from foveate.inspection.transfer.settings import FINE_TUNING, TransferSettings
from foveate.profiling.settings import ProfileSettings
from foveate.studies.engine.executors.settings import ClusterSettings
from foveate.studies.engine.machine import MachineSettings
from foveate.studies.spec import flag_groups
from foveate.studies.spec.defaults import ADJUST, FAMILY, GROW, MAX_SEEDS, SEEDS, SPENDING, TRIALS
from foveate.studies.spec.request import (
    Compared,
    RecipeKeys,
    SearchSettings,
    StudyKeys,
    Subject,
)
from foveate.training.recipe_keys import RECIPE_KEYS

EXAMINATION = "--out --device --threads --trust-code --json"
STUDY = (
    "--data --backbone --seeds --pretrained --weights --replace-own --image-size --upscale --skip-broken "
    "--train-fraction --image-column --label-column --task --detector --segmenter --norm --attention-in "
    "--ignored-label --class-names --refuse-invalid --adjust --family --margin --population "
    "--until-decided --max-seeds --max-hours --spending --control --grow --tune --tune-option "
    "--recipe --epochs --batch-size --learning-rate --lr --precision --set --jobs -j --device --devices "
    "--nodes --threads --workers --log --on --memory --partition --minutes --slurm --against --out --json"
)
FLAGS = {
    "compare": f"--attention --backbones {STUDY}",
    "ablate": f"--study {STUDY}",
    "sweep": f"--search --trials --storage --study {STUDY}",
    "plan": f"--attention --backbones --ablate --sweep --values --spread {STUDY}",
    "explain": f"--images --data --method --layer --boxes --masks --mask-object --limit --show --road "
    f"--gates --margin --image-column --label-column {EXAMINATION}",
    "robustness": "--data --corruptions --severities --noise --prepared --classes --attacks --eps "
    f"--attack-images --limit --seed --image-column --label-column {EXAMINATION}",
    "transfer": "--to --how --classes --attach --recipe --epochs --set --train-fraction --limit --seeds "
    f"--image-column --label-column {EXAMINATION}",
    "deploy": "--data --runtime --precision --calibration-images --quantise-gates --margin --limit --seconds "
    f"--image-column --label-column {EXAMINATION}",
    "look": "--host --port --data --device --trust-code",
    "profile": "--backbone --detector --segmenter --attention --replace-own --image-size --batch-size "
    "--device --dtype --memory-format --mode --compile --graph --path --threads --detail --energy --seconds "
    "--runtime --precision --quantise-gates --out --json",
    "check": "--channels --only --device --like --json",
    "report": "--against --out --json",
    "fold": "--max-loss --data --limit --image-column --label-column --out --device --threads --trust-code "
    "--json",
    "export": "--format --out --image-size --output-names --precision --calibration-images --quantise-gates "
    "--data --trust-code --json",
    "list": "--json",
    "sites": "--image-size --json",
    "completion": "--out",
}
SHARED = (StudyKeys, RecipeKeys, MachineSettings, ClusterSettings)
SETTINGS = {
    "compare": (Compared, *SHARED),
    "ablate": SHARED,
    "sweep": (SearchSettings, *SHARED),
    "plan": (Subject, *SHARED),
    "explain": (ExplainSettings, GateSettings, OtherImages, ExaminationSettings),
    "robustness": (RobustnessSettings, OtherImages, ExaminationSettings),
    "transfer": (TransferSettings, ExaminationSettings),
    "deploy": (DeploymentSettings, OtherImages, ExaminationSettings),
    "profile": (ProfileSettings,),
    "export": (ExportSettings,),
    "check": (CheckSettings,),
    "fold": (FoldSettings, OtherImages),
}
RESOLVED_LATER = {
    (StudyKeys, "seeds"): SEEDS,
    (StudyKeys, "adjust"): ADJUST,
    (StudyKeys, "family"): FAMILY,
    (StudyKeys, "margin"): "0.5 points",
    (StudyKeys, "population"): "new-images",
    (StudyKeys, "max_seeds"): MAX_SEEDS,
    (StudyKeys, "spending"): SPENDING,
    (StudyKeys, "grow"): GROW,
    (SearchSettings, "trials"): TRIALS,
    (TransferSettings, "epochs"): FINE_TUNING["epochs"],
    (TransferSettings, "how"): None,
}
"""Defaults of attributes that are empty until it is known that nothing else says otherwise."""


def help_of(command: str, columns: int = 80) -> str:
    console = Console(width=columns, file=io.StringIO(), color_system=None)
    app([command, "--help"], console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def help_by_flag(text: str) -> dict[str, str]:
    """The help of each flag by each of its names, of a page on which each takes one line."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"│ [* ]*((?:--?[a-z-]+ )+) *(?:[A-Z]+(?:\.\.\.)? +)?(.*?) *│$", line):
            found |= dict.fromkeys(match[1].split(), match[2])
    return found


def written(value: Any) -> str | None:
    """A default as help shows it; None is not shown."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    values = (value or ("none",)) if isinstance(value, tuple) else (value,)
    return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in values)


def default_of(settings: type, field: Field) -> Any:
    return RESOLVED_LATER.get((settings, field.name), None if field.default is MISSING else field.default)


def test_every_command_is_tested() -> None:
    assert COMMANDS.keys() == FLAGS.keys()


@pytest.mark.parametrize("command", FLAGS)
def test_every_flag_stays_and_has_its_help(command: str) -> None:
    flags = help_by_flag(help_of(command, columns=400))
    assert set(flags) == set(FLAGS[command].split())
    assert all(text[:1].isupper() and len(text.split()) > 2 for text in flags.values())


@pytest.mark.parametrize("command", FLAGS)
def test_help_fits_80_columns(command: str) -> None:
    text = help_of(command)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


@pytest.mark.parametrize("command", FLAGS)
def test_every_flag_and_argument_says_what_holds_without_it(command: str) -> None:
    text = help_of(command, columns=400)
    arguments = re.findall(r"│ [* ]*[A-Z_]{2,} +(.*?) *│", text)
    for said in [*help_by_flag(text).values(), *arguments]:
        assert re.search(r"\[default: .+\]|\[required\]|[Bb]y default ", said), said


@pytest.mark.parametrize("command", FLAGS)
def test_the_flags_stand_in_groups(command: str) -> None:
    headings = re.findall(r"^╭─ (.*?) ─+╮$", help_of(command), re.MULTILINE)
    ordered = [group._name for group in vars(flag_groups).values() if isinstance(group, Group)]
    known = ["Arguments", "Options", *ordered]
    assert headings == sorted(headings, key=known.index)
    sizes = [len(re.findall(r"^│ [* ]*--", part, re.M)) for part in help_of(command).split("╭─ ")]
    assert max(sizes) <= 8


def texts_of_help(command: str) -> list[str]:
    """The description of a command, and the help of its arguments and flags, as they stand in the source."""
    arguments = [
        one for one in app[command].assemble_argument_collection() if one.parameter.show is not False
    ]
    described = (inspect.getdoc(COMMANDS[command]) or "").split("\n\n")
    return [" ".join(text.split()) for text in [*described, *(one.parameter.help or "" for one in arguments)]]


@pytest.mark.parametrize("command", FLAGS)
def test_help_is_printed_as_it_is_written(command: str) -> None:
    """Brackets, stars and underscores are no markup: [x0, y0, x1, y1] is shown."""
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", help_of(command, columns=400)).split())
    texts = texts_of_help(command)
    assert sum(map(bool, texts)) >= 2
    for text in texts:
        assert text in shown


def test_the_form_of_boxes_is_shown() -> None:
    assert "[x0, y0, x1, y1]" in help_by_flag(help_of("explain", columns=400))["--boxes"]


@pytest.mark.parametrize("command", FLAGS)
def test_help_has_two_examples_that_can_be_typed(command: str) -> None:
    lines = help_of(command).splitlines()
    for example in EXAMPLES[command]:
        assert all(len(line) <= 80 and line in map(str.rstrip, lines) for line in example.splitlines())
        program, *typed = shlex.split(example.replace("\\\n", ""))
        assert program == "foveate"
        assert app.parse_args(typed)[0] is COMMANDS[command]


def test_help_has_the_keys_of_set_with_defaults_and_meanings() -> None:
    for command, flags in FLAGS.items():
        shown = help_of(command, columns=200)
        for key, (default, meaning) in RECIPE_KEYS.items():
            assert bool(re.search(rf"^ {key}={default} +{re.escape(meaning)} *$", shown, re.M)) == (
                "--set" in flags.split()
            )


def test_the_old_name_of_limit_is_taken_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["robustness", "a"], ["transfer", "a", "--to", "digits"]):
        assert app.parse_args([*command, "--images", "6"])[1].arguments["old_limit"] == 6
        assert app.parse_args([*command, "--limit", "6"])[1].arguments["settings"].limit == 6
        with pytest.raises(RequestError, match="--limit must be a whole number of at least 1, got 0"):
            app([*command, "--images", "0"])
        assert "--images N is now --limit N" in capsys.readouterr().err


@pytest.mark.parametrize("command", SETTINGS)
def test_the_default_that_help_shows_is_that_of_the_settings(command: str) -> None:
    flags = help_by_flag(help_of(command, columns=400))
    seen = 0
    for settings in SETTINGS[command]:
        for field in fields(settings):
            text = flags.get(f"--{field.name.replace('_', '-')}")
            if text is None:  # no flag, but an attribute for whoever calls the function
                continue
            default = re.search(r"\[default: (.*)\]", text)
            assert (default and default[1]) == written(default_of(settings, field)), field.name
            seen += 1
    assert seen >= 3


@pytest.mark.parametrize("command", FLAGS)
def test_an_unknown_flag_ends_with_2_and_names_the_nearest(
    command: str, in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    near = FLAGS[command].split()[0]
    assert in_process(command, f"{near}x", "1", folder=tmp_path) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert f"{near}x" in line
    assert f"Did you mean {near}" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain"], "RUNS"),
        (["sweep", "se"], "VALUES"),
        (["transfer", "run"], "--to"),
        (["compare", "--seeds"], "--seeds"),
        (["compare", "--seeds", "1.5"], "--seeds: expected a whole number, got '1.5'"),
        (["compare", "--lr", "fast"], "--lr: expected a number, got 'fast'"),
        (["robustness", "run", "--severities", "1,x"], "--severities: expected a whole number, got 'x'"),
        (["compare", "one.yaml", "two.yaml"], "two.yaml"),
        (["compare", "--no-pretrained"], "--no-pretrained"),
        (["compare", "--jobs", "0", "--data", "digits"], "--jobs must be a whole number of at least 1"),
        (["sweep", "se", "reduction=4", "--trials", "3"], "--trials"),
        (["compare", "--against", "dmsca-artikel"], "dmsca-article"),
    ],
)
def test_a_wrong_value_ends_with_2_in_one_line(
    arguments: list[str],
    words: str,
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    given = ["--data", "digits", "--backbone", "cifar_resnet8"] * (arguments[0] in ("compare", "sweep"))
    given += ["--attention", "se"] * (arguments[0] == "compare")
    assert in_process(*arguments, *given, folder=tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_values_are_read_as_they_are_typed() -> None:
    command = [
        "compare",
        "study.yaml",
        "--attention",
        "none,se,dmsca(reduction=8)",
        "--seeds",
        "3",
        "-j",
        "2",
    ]
    command += ["--set", "epochs=3", "--set", "augmentation=crop,flip", "--lr", "5e-2", "--pretrained"]
    given = app.parse_args([*command, "--jobs", "4", "--json", "-"])[1].arguments
    assert given["study_file"] == Path("study.yaml")
    assert given["subject"] == Compared(attention="none,se,dmsca(reduction=8)")
    flags = given["flags"]
    assert flags.keys == StudyKeys(seeds=3, pretrained=True)
    assert flags.recipe == RecipeKeys(learning_rate=0.05, set=["epochs=3", "augmentation=crop,flip"])
    assert flags.machine == MachineSettings(jobs=4)  # what is given last holds
    assert flags.json == Path("-")
    attack = ["robustness", "a", "--severities", "1, 3", "--eps", "0.5,8", "--corruptions", "", "b"]
    given = app.parse_args(attack)[1].arguments
    assert given["runs"] == ("a", "b")
    assert given["settings"] == RobustnessSettings(severities=(1, 3), eps=(0.5, 8.0), corruptions=())


def test_no_arguments_print_the_help(
    in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert in_process(folder=tmp_path) == 2
    said = capsys.readouterr().out
    assert re.findall(r"^│ ([a-z]+) ", said, re.MULTILINE) == list(COMMANDS)


def test_flags_are_read_without_torch() -> None:
    code = (
        "import sys\nfrom foveate.cli.main import app\napp(['compare', '--help'])\n"
        "assert not {'torch', 'timm', 'lightning', 'pydantic', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
