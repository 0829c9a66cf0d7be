"""The names are there for whoever only asks for them, without torch."""

import subprocess
import sys

import pytest

from foveate.errors import RequestError
from foveate.models.dense import names


def test_names_import_no_torch():
    code = (
        "import sys, foveate.models.dense as dense; print(*dense.DETECTORS, *dense.SEGMENTERS); "
        "print(sorted({'torch', 'torchvision', 'segmentation_models_pytorch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [
        "fasterrcnn fcos retinanet deeplabv3 deeplabv3plus fpn unet",
        "[]",
    ]


@pytest.mark.parametrize("kind", ["detector", "segmenter", "norm", "part"])
def test_unknown_names_are_refused_with_the_choices(kind):
    with pytest.raises(RequestError, match=f"unknown {kind} 'nothing'.*Choices: "):
        getattr(names, f"check_{kind}")("nothing")
