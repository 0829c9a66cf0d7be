"""What stands below the flags in the help of each command: two examples, and the keys that --set takes."""

from foveate.training.recipe_keys import RECIPE_KEYS

__all__ = ["EXAMPLES", "epilogue"]

EXAMPLES: dict[str, tuple[str, str]] = {
    "compare": (
        "foveate compare --data digits --backbone cifar_resnet8 --attention none,se",
        "foveate compare --data photos --backbone resnet18 --pretrained \\\n"
        "--attention none,cbam,'dmsca(reduction=8)' --seeds 5",
    ),
    "ablate": (
        "foveate ablate dmsca --data photos --backbone resnet18",
        "foveate ablate 'sgfa(reduction=8)' --study study.yaml --jobs 2",
    ),
    "sweep": (
        "foveate sweep dmsca reduction=4,8,16 --data photos --backbone resnet18",
        "foveate sweep dmsca reduction=4,8,16 temperature=0.5,1,learned \\\n"
        "--search optuna --trials 30 --study study.yaml",
    ),
    "plan": (
        "foveate plan --data photos --backbone resnet18 --attention none,se,dmsca",
        "foveate plan study.yaml --seeds 10 --spread 0.5",
    ),
    "explain": (
        "foveate explain studies/photos-resnet18 --boxes boxes.json",
        "foveate explain studies/photos-resnet18 --gates",
    ),
    "robustness": (
        "foveate robustness studies/photos-resnet18 --corruptions fog,snow",
        "foveate robustness studies/photos-resnet18 --attacks fgsm,pgd --limit 500",
    ),
    "transfer": (
        "foveate transfer studies/photos-resnet18 --to other_photos",
        "foveate transfer studies/photos-resnet18 --to other_photos \\\n"
        "--how probe,finetune --set weight_decay=0",
    ),
    "deploy": (
        "foveate deploy studies/photos-resnet18",
        "foveate deploy studies/photos-resnet18 --precision int8,fp16 --quantise-gates",
    ),
    "look": (
        "foveate look studies/photos-resnet18",
        "foveate look studies/photos-resnet18 --data other_photos --port 8000",
    ),
    "profile": (
        "foveate profile --backbone resnet50 --attention se,dmsca",
        "foveate profile --backbone resnet50 --attention se,dmsca --batch-size 32 \\\n"
        "--mode training --out profile",
    ),
    "check": (
        "foveate check mine.py:MyAttention --channels 64,256",
        "foveate check mine.py:MyCBAM --like cbam",
    ),
    "report": (
        "foveate report studies/photos-resnet18",
        "foveate report studies/photos-resnet18 studies/photos-resnet50 --out joined",
    ),
    "export": (
        "foveate export studies/photos-resnet18/runs/0123456789abcdef",
        "foveate export studies/photos-resnet18/runs/0123456789abcdef --precision int8",
    ),
    "fold": (
        "foveate fold studies/photos-resnet18/runs/0123456789abcdef",
        "foveate fold dmsca.safetensors --data photos --max-loss 0.5",
    ),
    "list": ("foveate list --json mechanisms.json", "foveate list se mine.py:MyAttention"),
    "sites": ("foveate sites resnet50", "foveate sites swin_tiny_patch4_window7_224 --json sites.json"),
    "completion": (
        "foveate completion bash --out ~/.local/share/bash-completion/completions/foveate",
        "foveate completion fish --out ~/.config/fish/completions/foveate.fish",
    ),
}
"""Two examples of each command, each as it is typed in a shell."""
LINE_END = "\\\n"
"""Ends a line within a paragraph of Markdown."""
TAKE_RECIPE_KEYS = ("compare", "ablate", "sweep", "plan", "transfer")


def epilogue(command: str) -> str:
    """Return in Markdown what the help of `command` has below its flags."""
    lines = [f"`{line}`" for example in EXAMPLES[command] for line in example.splitlines()]
    keys = f"\n\n{_recipe_keys()}" if command in TAKE_RECIPE_KEYS else ""
    return f"**Examples**\n\n{LINE_END.join(lines)}{keys}"


def _recipe_keys() -> str:
    rows = "".join(f"| {key}={one.default} | {one.meaning} |\n" for key, one in RECIPE_KEYS.items())
    heading = "**Keys of --set**, each with its value where the recipe gives none"
    return f"{heading}\n\n| Key | Meaning |\n|:--|:--|\n{rows}"
