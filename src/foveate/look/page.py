"""The page in Gradio: its controls and their handlers."""

from pathlib import Path
from typing import Any

from foveate.data import Data
from foveate.errors import RequestError
from foveate.evaluation.cam_methods import METHODS
from foveate.look.cards import cards, escaped, fault, legend
from foveate.look.pictures import MOST_BYTES, MOST_PIXELS, Picture, example_picture, read_picture
from foveate.look.viewer import Viewer

__all__ = ["STYLE", "build_page", "gradio_library", "look_theme"]

STYLE = Path(__file__).with_name("page.css")
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Liberation Sans", "Arial", "sans-serif")
MONOSPACE = ("ui-monospace", "Consolas", "Liberation Mono", "monospace")
OPACITY = 0.55
BOUNDS = (
    f"Images may have up to {MOST_BYTES >> 20} MB and {MOST_PIXELS // 10**6} million pixels. They stay on "
    "the machine that serves this page, and are deleted when they are read."
)
SET_OPACITY = "(value) => { document.documentElement.style.setProperty('--fv-opacity', value); }"


def gradio_library() -> Any:
    """Return gradio, which only this function imports; RequestError if it is not installed."""
    try:
        import gradio
    except ImportError as error:
        raise RequestError(f"look needs gradio: pip install 'foveate[look]' ({error})") from error
    return gradio


def look_theme() -> Any:
    """Return the theme: fonts that the machine has, so that none is downloaded."""
    gr = gradio_library()
    return gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONOSPACE)


def build_page(viewer: Viewer, data: Data | None, title: str, note: str = "") -> Any:
    """Return the page of `viewer` as Blocks that are not launched yet.

    Args:
        data: the images for examples; None for no examples.
        note: a sentence about what is missing; "" for none.
    """
    gr = gradio_library()
    handle = _Handlers(viewer, data)
    with gr.Blocks(title=f"{title} · foveate", analytics_enabled=False, fill_width=True) as page:
        picture, number = gr.State(None, time_to_live=3600), gr.State(0)
        gr.HTML(f"<h1 class='fv-title'>Where do they look? <small>{escaped(title)}</small></h1>")
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=260):
                upload = gr.File(
                    label="An image",
                    type="filepath",
                    height=150,
                    elem_id="fv-upload",
                )
                example = gr.Button(
                    "Take a test image",
                    size="md",
                    variant="primary",
                    visible=data is not None,
                    elem_id="fv-example",
                )
                seed = gr.Dropdown(
                    viewer.seeds,
                    value=viewer.seeds[0],
                    label="Seed",
                    visible=len(viewer.seeds) > 1,
                    elem_id="fv-seed",
                )
                layer = gr.Slider(
                    1,
                    max(len(viewer.layers), 2),
                    value=viewer.default + 1,
                    step=1,
                    label="Layer",
                    info=f"from the first block to the last: {viewer.layers[0]} … {viewer.layers[-1]}",
                    visible=len(viewer.layers) > 1,
                    buttons=[],
                    elem_id="fv-layer",
                )
                opacity = gr.Slider(
                    0, 1, value=OPACITY, step=0.01, label="Opacity", buttons=[], elem_id="fv-opacity"
                )
                method = gr.Radio(list(METHODS), value=next(iter(METHODS)), label="Heat maps by")
                gr.HTML(legend())
                gr.HTML(f"<p class='fv-note'>{BOUNDS}</p>")
                if note:
                    gr.HTML(f"<p class='fv-note'>{escaped(note)}</p>")
            with gr.Column(scale=4):
                result = gr.HTML(
                    "<div class='fv'><p class='fv-empty'>Drop an image, or take a test image.</p></div>",
                    elem_id="fv-result",
                )
        settings = [seed, layer, method]
        one_at_a_time: dict[str, Any] = {"concurrency_id": "look", "concurrency_limit": 1}
        upload.upload(
            handle.upload,
            [upload, *settings],
            [upload, picture, result],
            api_name="upload",
            **one_at_a_time,
        )
        example.click(
            handle.example,
            [number, *settings],
            [number, picture, result],
            api_name="example",
            **one_at_a_time,
        )
        for changed in (seed.input, layer.release, method.input):
            changed(handle.again, [picture, *settings], [result], api_visibility="private", **one_at_a_time)
        opacity.input(None, [opacity], None, js=SET_OPACITY, api_visibility="private")
    page.queue(default_concurrency_limit=1, max_size=16)
    return page


class _Handlers:
    """The handlers of the controls; an error becomes a message in the page."""

    def __init__(self, viewer: Viewer, data: Data | None) -> None:
        self.viewer, self.data = viewer, data

    def upload(
        self, path: str | None, seed: str, layer: int, method: str
    ) -> tuple[None, Picture | None, str]:
        """Read an upload, delete it, and show its cards; the field for uploads is emptied."""
        if path is None:
            return None, None, fault("there was no file")
        file = Path(path)
        try:
            picture = read_picture(file, self.viewer.input_size, greys=self.viewer.greys)
        except RequestError as error:
            return None, None, fault(str(error))
        finally:
            file.unlink(missing_ok=True)
        return None, picture, self.again(picture, seed, layer, method)

    def example(self, number: int, seed: str, layer: int, method: str) -> tuple[int, Picture | None, str]:
        """Take the next example and show its cards."""
        if self.data is None:
            return number, None, fault("there are no examples: the study's images are not here")
        try:
            picture = example_picture(self.data, number)
        except RequestError as error:
            return number + 1, None, fault(str(error))
        return number + 1, picture, self.again(picture, seed, layer, method)

    def again(self, picture: Picture | None, seed: str, layer: int, method: str) -> str:
        """Show the cards of the current picture with the current settings."""
        if picture is None:
            return fault("there is no image yet: drop one, or take a test image")
        try:
            views = self.viewer.look(picture, str(seed), int(layer) - 1, method)
        except RequestError as error:
            return fault(str(error))
        return cards(picture, views, str(seed))
