"""What needs no network to be answered imports none of the libraries that take seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "timm", "lightning", "numpy", "pandas", "scipy", "sklearn", "altair"}

LIGHT = """
import contextlib, io, os, sys
from foveate.cli.main import main

for line in sys.stdin.read().splitlines():
    sys.argv = ["foveate", *line.split()]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            main()
        except SystemExit as end:
            status = end.code
    heavy = sorted(HEAVY & set(sys.modules))
    if heavy:
        sys.exit(f"{line!r} imports {heavy}")
    print(status, " ".join(said.getvalue().split()))
"""

STUDY = "--data digits --backbone cifar_resnet8"
ANSWERED = ["--help", "-h", "--version", "compare --help", "list", "list --json -", "completion bash"]
ANSWERED += [
    f"{command} --help" for command in ("sweep", "explain", "robustness", "transfer", "profile", "check")
]
ANSWERED += ["__complete compare --attention s", "__complete compare --backbone res"]
REFUSED = {
    "compaer": "Unknown command",
    "compare --dataa x": "Unknown option",
    "compare --seeds 1.5": "expected a whole number",
    f"compare {STUDY}": "names no attention",
    f"compare {STUDY} --attention none,dmcsa": "unknown attention 'dmcsa'",
    f"compare {STUDY} --attention dmsca(reducton=8)": "dmsca(reducton=8) on cifar_resnet8: unknown option",
    f"compare {STUDY} --backbones resnet18": "names backbone and backbones",
    "compare --data digits --backbone resnet5 --attention se": "unknown backbone 'resnet5'",
    "compare --data digits --backbone resnet50.a9 --attention se": "Invalid pretrained tag (a9)",
    "compare --data digits --backbone torchvision/resnet5 --attention se": "unknown backbone",
    "compare --data nowhere --backbone resnet18 --attention se": "there is no folder 'nowhere'",
    f"compare {STUDY} --attention se --recipe nothing": "unknown recipe 'nothing'",
    f"compare {STUDY} --attention se --set epoch=1": "unknown recipe key 'epoch'",
    f"compare {STUDY} --attention se --set optimizer=sdg": "unknown optimizer 'sdg'",
    f"compare {STUDY} --attention se --set augmentation=flop": "unknown augmentation 'flop'",
    f"compare {STUDY} --attention se --lr 0": "learning_rate",
    f"compare {STUDY} --attention se --log wandb": "unknown log 'wandb'",
    f"compare {STUDY} --attention se --device gpu": "unknown device 'gpu'",
    f"compare {STUDY} --attention se --jobs 900": "expected at most",
    f"compare {STUDY} --attention se --grow depth": "give --control parameters, macs or latency, too",
    f"compare {STUDY} --attention se --against dmsca": "unknown article 'dmsca'",
    f"compare {STUDY} --attention se --detector fastrcnn": "unknown detector 'fastrcnn'",
    f"compare {STUDY} --attention se --segmenter unett": "unknown segmenter 'unett'",
    f"compare {STUDY} --attention se --task detecting": "unknown task 'detecting'",
    f"compare {STUDY} --attention se --detector fcos --segmenter unet": "give one of the two",
    f"compare {STUDY} --attention se --task segmentation --detector fcos": "a detector is for detection",
    f"compare {STUDY} --attention se --detector fasterrcnn(fpn_chanels=32)": "unknown option of fasterrcnn",
    f"compare {STUDY} --attention se --detector fasterrcnn(size=tiny)": "unknown size 'tiny'",
    f"compare {STUDY} --attention se --segmenter unet(atrous_rates=[6])": "unknown option of unet",
    f"compare {STUDY} --attention se --detector fcos --norm frozn": "unknown norm 'frozn'",
    f"compare {STUDY} --attention se --detector fcos --attention-in head": "unknown attention_in 'head'",
    f"compare {STUDY} --attention se --norm frozen": "norm is for detectors and segmenters",
    f"compare {STUDY} --attention se --ignored-label 3": "ignored_label (--ignored-label) is for a seg",
    f"compare {STUDY} --attention se --set loss=dice": "loss = dice is for a segmentation",
    f"compare {STUDY} --attention se --detector fcos": "digits: a detection takes a folder of images with",
    f"compare {STUDY} --attention se --detector fcos --set monitor=loss": "takes a folder",
    f"compare {STUDY} --attention se --out /dev/null/x": "the study's folder cannot be",
    "compare missing.yaml": "cannot read missing.yaml",
    f"ablate se {STUDY}": "se has no parts",
    f"sweep se {STUDY}": "VALUES",
    f"sweep se reducton=4 {STUDY}": "unknown option of se 'reducton'",
    f"plan {STUDY} --attention se --spread 0": "--spread 0",
    "plan --data nowhere --backbone resnet18 --attention se": "there is no folder 'nowhere'",
    "report nowhere": "nowhere holds no study",
    "report nowhere --against dmsca": "unknown article 'dmsca'",
    "explain nowhere/run": "there is no nowhere/run",
    "explain .": ". holds no study",
    "explain resnt18": "unknown backbone 'resnt18'",
    "explain resnet18=missing.safetensors": "missing.safetensors is not there",
    "explain resnet18 --method cam": "unknown method 'cam'",
    "explain resnet18 --label-column breed": "--label-column is a column of the images that --data names",
    "robustness resnet18 --image-column photo": "give --data, too",
    "explain resnet18 --data nowhere": "there is no folder 'nowhere'",
    "robustness resnet18 --corruptions fogg": "unknown corruption 'fogg'",
    "robustness resnet18 --attacks pdg": "unknown attack 'pdg'",
    "robustness resnet18 --severities 6": "--severities",
    "transfer resnet18 --to nowhere": "there is no folder 'nowhere'",
    "transfer resnet18 --to digits --how prob": "unknown way to transfer 'prob'",
    "transfer resnet18 --to digits --how finetune --attach sse": "unknown attention 'sse'",
    "deploy nowhere/run": "there is no nowhere/run",
    "deploy resnet18 --precision int4": "unknown precision 'int4'",
    "deploy resnet18 --runtime openvin": "unknown runtime 'openvin'. Did you mean 'openvino'",
    "deploy resnet18 --device cuda": "foveate deploy runs on the CPU",
    "deploy resnet18 --margin 0": "--margin must be a number of points above 0",
    "deploy resnet18 --precision fp16 --quantise-gates": "--quantise-gates is for int8",
    "look nowhere/study": "there is no nowhere/study",
    "look . --port 99999": "--port must be",
    "profile --backbone resnt18 --attention se": "unknown backbone 'resnt18'",
    "profile --backbone resnet18 --attention sse": "unknown attention 'sse'",
    "profile --backbone resnet18 --attention se --dtype float": "unknown dtype 'float'",
    "profile --backbone resnet18 --attention se --mode train": "unknown mode 'train'",
    "profile --backbone resnet18 --attention se --detector fcoss": "unknown detector 'fcoss'",
    "profile --backbone resnet18 --attention se --detector fcos --compile": "leave out --compile",
    "profile --backbone resnet18 --attention se --runtime onxruntime": "unknown runtime 'onxruntime'",
    "profile --backbone resnet18 --attention se --precision int8": "give --runtime onnxruntime, too",
    "profile --backbone resnet18 --attention se --runtime onnxruntime --precision int4": "unknown precision",
    "profile --backbone resnet18 --attention se --runtime onnxruntime --mode training": "--mode is torch's",
    "profile --backbone resnet18 --attention se --runtime onnxruntime --quantise-gates": "--precision int8",
    "profile --backbone resnet18 --attention se --runtime onnxruntime --detector fcos": "or --detector",
    "profile --backbone resnet18 --attention se --runtime onnxruntime --device cuda": "runs on the CPU",
    "check sse": "unknown attention 'sse'",
    "check none": "none is the network without one",
    "check se(reducton=4)": "unknown option of se 'reducton'",
    "check se(where=stage)": "without a place",
    "check se --only dtyp": "unknown promise 'dtyp'. Did you mean 'dtype'",
    "check se --channels 64,0": "--channels 0",
    "check se --like gam": "--like gam: foveate knows no variants of it",
    "export nowhere": "nowhere is not there",
    "export nowhere --format onxx": "unknown format 'onxx'",
    "fold nowhere/run": "there is no nowhere/run",
    "fold .": ". holds no study",
    "fold resnet18": "resnet18 is a name, and its attention, if it has any, is not trained",
    "fold resnet18=missing.safetensors": "missing.safetensors is not there",
    "fold nowhere/run --max-loss -1": "--max-loss must be a number of points, 0 or more",
    "fold nowhere/run --max-loss nan": "--max-loss must be a number of points, 0 or more",
    "fold nowhere/run --limit 0": "--limit must be a whole number of at least 1",
    "fold s3://bucket/study": "s3://bucket/study is a URL: give --out",
    "export nowhere --precision int4": "unknown precision 'int4'",
    "export nowhere --precision int8 --format exported-program": "precision int8 is for the format onnx",
    "export nowhere --precision int8 --calibration-images 0": "--calibration-images must be",
    "export nowhere --data digits": "--data has the images that int8 is calibrated with",
    "export nowhere --quantise-gates": "the gates are quantised in int8 alone",
    "completion bsh": "unknown shell 'bsh'",
}
AS_PAPERS_WRITE = {
    f"compare {STUDY} --attention None,CBAM,Se(reduction=8) --log wandb": "unknown log",
    f"plan {STUDY} --attention plain,SGFA-CA,baseline(width=2) --log wandb": "unknown log",
    f"ablate DMSCA {STUDY} --log wandb": "unknown log",
    f"sweep Se reduction=4,8 {STUDY} --log wandb": "unknown log",
    "profile --backbone resnet18 --attention Baseline,CBAM --threads 100000": "--threads 100000",
    "transfer resnet18 --to nowhere --how finetune --attach CBAM,SimAM": "there is no folder 'nowhere'",
}
"""Names of mechanisms and of the baseline that are understood: each command is refused for another reason."""


def answers(commands: list[str], folder: Path, heavy: set[str] = HEAVY) -> list[str]:
    """The status of each command and what it wrote to standard error, of one process for all of them."""
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy}\n{LIGHT}"],
        input="\n".join(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


def test_help_version_list_and_completion_import_nothing_heavy(tmp_path: Path) -> None:
    assert [said[0] for said in answers(ANSWERED, tmp_path)] == ["0"] * len(ANSWERED)


def test_refusals_import_nothing_heavy_and_leave_nothing_behind(tmp_path: Path) -> None:
    refused = REFUSED | AS_PAPERS_WRITE
    said = answers(list(refused), tmp_path)
    assert len(said) == len(refused)
    for answer, words in zip(said, refused.values(), strict=True):
        assert answer.startswith("2 foveate: ")
        assert words in answer
    assert list(tmp_path.iterdir()) == []


def test_an_import_is_seen(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="'list' imports .*'pydantic'"):
        answers(["--version", "list"], tmp_path, {"pydantic"})
