"""The cards of the page in HTML: one for the image, and one for each network. All text is escaped."""

import base64
from html import escape
from io import BytesIO

import numpy as np
from PIL import Image

from foveate.evaluation.heat import bar_ends, heat, is_flat, say_flat, scale
from foveate.look.pictures import Picture
from foveate.look.viewer import OwnMap, View
from foveate.records.labels import display_name

__all__ = ["cards", "escaped", "fault", "legend"]

HEAT_SIDE = 224
"""Side in pixels of a heat map."""


def cards(picture: Picture, views: list[View], seed: str) -> str:
    """Return the card of the picture, and beside it a card for each network."""
    shown = _png(picture.shown)
    truth = f"<p class='fv-truth'>{escaped(picture.truth)}</p>" if picture.truth else ""
    original = (
        "<figure class='fv-card'><figcaption>image</figcaption>"
        f"<div class='fv-picture'><img alt='the image' src='{shown}'></div>"
        f"{truth}<p class='fv-note'>{escaped(picture.name)}</p></figure>"
    )
    layers = " · ".join(dict.fromkeys(view.layer for view in views))
    head = f"<p class='fv-head'>Seed {escaped(seed)}, heat maps at <code>{escaped(layers)}</code></p>"
    every = "".join(_card(view, shown, picture.truth) for view in views)
    return f"<div class='fv'>{head}<div class='fv-grid'>{original}{every}</div></div>"


def fault(message: str) -> str:
    """Return an error message that takes the place of the cards."""
    return f"<div class='fv'><p class='fv-fault' role='alert'>{escaped(message)}</p></div>"


def legend() -> str:
    """Return the colour scale of the heat maps."""
    stops = ", ".join("rgb({},{},{})".format(*colour) for colour in scale()[:: len(scale()) // 8])
    return (
        "<div class='fv fv-legend'><span>spoke little for the answer</span>"
        f"<i style='background:linear-gradient(90deg, {stops})'></i><span>much</span></div>"
    )


def _card(view: View, shown: str, truth: str | None) -> str:
    name = escaped(display_name(view.label))
    if view.heat is not None and is_flat(view.heat):
        over = "<p class='fv-none'>The heat map is flat: no part spoke more for the answer than another.</p>"
    elif view.heat is None:
        over = f"<p class='fv-none'>{escaped(view.fault)}</p>"
    else:
        over = f"<img class='fv-heat' alt='heat map of {name}' src='{_png(_heat(view.heat))}'>"
    rows = "".join(
        f"<li class='{_verdict(answer, truth) if place == 0 else ''}'><b>{escaped(answer)}</b>"
        f"<i style='width:{100 * value:.1f}%'></i><span>{100 * value:.1f}\N{NO-BREAK SPACE}%</span></li>"
        for place, (answer, value) in enumerate(view.answers)
    )
    own = "".join(map(_own, view.own))
    meanings = "".join(f"<dt>{escaped(one.name)}</dt><dd>{escaped(one.meaning)}</dd>" for one in view.own)
    help_ = f"<details class='fv-help'><summary>What these are</summary><dl>{meanings}</dl></details>"
    return (
        f"<figure class='fv-card'><figcaption>{name}</figcaption>"
        f"<div class='fv-picture'><img alt='' src='{shown}'>{over}</div>"
        f"<ol class='fv-answers'>{rows}</ol>"
        f"{f'<div class=fv-own>{own}</div>{help_}' if own else ''}</figure>"
    )


def _verdict(name: str, truth: str | None) -> str:
    return "" if truth is None else "fv-right" if name == truth else "fv-wrong"


def _own(own: OwnMap) -> str:
    """Return an intermediate as a picture, as bars, or in words; the tooltip says what it is."""
    values, name = own.values, escaped(own.name)
    if values.ndim == 0:
        reach, picture = "", f"<div class='fv-number'>{_number(float(values))}</div>"
    else:
        low, high = float(values.min()), float(values.max())
        reach = f"{_number(low)} to {_number(high)}"
        if is_flat(values):
            picture = f"<div class='fv-number'>{say_flat(values)}</div>"
        elif values.ndim == 1:
            picture = f"<div class='fv-bars'>{_bars(values)}</div>"
        else:
            about = f"{name} at {escaped(own.site)}, {reach}"
            picture = f"<img alt='{about}' src='{_png(heat((values - low) / (high - low)))}'>"
    tip = escaped(" ".join(filter(None, [own.meaning, f"At {own.site}{f', {reach}' if reach else ''}."])))
    return f"<figure title='{tip}'>{picture}<span><b>{name}</b>{reach}</span></figure>"


def _bars(weights: np.ndarray) -> str:
    low, high = bar_ends(weights)
    shares = (weights - low) / (high - low)
    return "".join(f"<i style='height:{100 * share:.0f}%'></i>" for share in shares)


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _heat(values: np.ndarray) -> np.ndarray:
    """Return a heat map in colours, enlarged with interpolation."""
    image = Image.fromarray(values.astype(np.float32))
    return heat(np.asarray(image.resize((HEAT_SIDE, HEAT_SIDE), Image.Resampling.BILINEAR)))


def _png(pixels: np.ndarray) -> str:
    """Return pixels, uint8 (H, W, 3), as a data URL of a PNG."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def escaped(text: str) -> str:
    """Escape text for the page, so that names from folders and files are neither markup nor templates."""
    # Gradio fills templates in the HTML that it is given: braces and dollars are written as entities.
    marks = {"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"}
    return "".join(marks.get(letter, letter) for letter in escape(text))
