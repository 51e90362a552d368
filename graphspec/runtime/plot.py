"""Gradients as pictures: what people look at, drawn with matplotlib, which is imported when it is asked for.

Of an image the gradient stands beside the image, as a saliency map (Simonyan, Vedaldi and Zisserman (2014),
arXiv:1312.6034: of each pixel the greatest |gradient| of its channels).  Of a tensor there is a histogram, of
the filters of a convolution also the gradient of each filter; of many tensors their norms, layer by layer.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.requests import plot_format_unknown, plotting_unavailable
from graphspec.runtime.backends import backend
from graphspec.runtime.files import replacing

Array: TypeAlias = Any
Area: TypeAlias = Any
"""A `matplotlib.figure.SubFigure`: a part of the page."""

FORMATS = (".png", ".svg", ".pdf")
WIDTH = 9.0
"""Inches."""

MOST_EXAMPLES = 6
MOST_FILTERS = 64
MOST_BARS = 200
MOST_HISTOGRAMS = 4
"""Beyond so many tensors, norms are drawn instead of histograms."""

BLUE, RED = "#4063a8", "#c0392b"


@dataclass(frozen=True)
class Panel:
    """A part of the page: its title, its height in inches, and what draws it."""

    title: str
    height: float
    draw: Callable[[Area], None]


def require_plotting(path: Path) -> None:
    """End here, before anything is computed, where no picture of that kind can be drawn."""
    if path.suffix.lower() not in FORMATS:
        raise GraphSpecError(plot_format_unknown(str(path), FORMATS))
    try:
        import matplotlib.figure  # noqa: F401  (whether it is there)
    except ImportError:
        raise GraphSpecError(plotting_unavailable(), exit_code=3) from None


def plot_gradients(
    path: Path,
    gradients: Mapping[str, Mapping[str, Array]],
    inputs: Mapping[str, Array],
    parameters: Container[str] = (),
    what: str = "gradient",
) -> None:
    """Draw gradients, by objective and name, to a file, or `what` else is known of them.

    What is no parameter and looks like images is drawn as images, beside those of `inputs`.

    Raises GraphSpecError where matplotlib is not there or the file cannot be written.
    """
    require_plotting(path)
    import matplotlib
    from matplotlib.figure import Figure

    panels: list[Panel] = []
    for objective, found in gradients.items():
        arrays = {name: _numpy(g) for name, g in found.items()}
        images = {n: g for n, g in arrays.items() if n not in parameters and is_image(g)}
        for name, g in images.items():
            image = _numpy(inputs[name]) if name in inputs else None
            height = 1.8 if image is None else 3.2
            panels.append(Panel(f"{what} of {objective} by {name}", height, _saliency(g, image)))
        panels += _panels(f"{what} of {objective}", {n: g for n, g in arrays.items() if n not in images})
    panels = panels or [Panel("no gradient has an element", 0.5, lambda area: None)]
    # the same gradients are the same file: no date, and ids that do not depend on the run
    style: Any = {
        "svg.hashsalt": "graphspec",
        "text.parse_math": False,
        "font.size": 8,
        "axes.titlesize": 8,
        "figure.titlesize": 9,
    }
    with matplotlib.rc_context(style):
        page = Figure(figsize=(WIDTH, sum(panel.height for panel in panels)), layout="constrained")
        areas = page.subfigures(len(panels), 1, height_ratios=[p.height for p in panels], squeeze=False)
        for panel, area in zip(panels, areas[:, 0], strict=True):
            area.suptitle(panel.title.replace("$", r"\$"))  # no formula is meant
            panel.draw(area)
        picture = io.BytesIO()
        kind = path.suffix.lower().removeprefix(".")
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        page.savefig(picture, format=kind, dpi=144, metadata=metadata)
    with replacing(path) as draft:
        draft.write_bytes(picture.getvalue())


def is_image(array: np.ndarray[Any, Any]) -> bool:
    """[N, C, H, W] with at most 4 channels and some pixels."""
    return array.ndim == 4 and 1 <= array.shape[1] <= 4 and min(array.shape[2:]) >= 4 and len(array) > 0


def _panels(what: str, gradients: Mapping[str, Array]) -> Iterator[Panel]:
    """Of a few tensors how their elements are distributed; of many, and of numbers, their norms."""
    tensors = {name: g for name, g in gradients.items() if g.size}
    if len(tensors) <= MOST_HISTOGRAMS and any(g.size > 1 for g in tensors.values()):
        for name, g in tensors.items():
            yield Panel(f"{what} by {name} {list(g.shape)}", 2.4, _tensor(g))
    elif tensors:
        norms = {name: _norm(g) for name, g in tensors.items()}
        title = f"{what}: norms"
        if len(norms) > MOST_BARS:
            title += f", the {MOST_BARS} greatest of {len(norms)}"
            kept = set(sorted(norms, key=lambda name: -np.nan_to_num(norms[name], nan=np.inf))[:MOST_BARS])
            norms = {name: norm for name, norm in norms.items() if name in kept}
        yield Panel(title, 0.8 + 0.18 * len(norms), _norms(norms))


def _saliency(gradient: Array, image: Array | None) -> Callable[[Area], None]:
    """The first images in a row, and below each how much the objective depends on its pixels."""

    def draw(area: Area) -> None:
        count = min(len(gradient), MOST_EXAMPLES)
        maps = np.abs(gradient[:count]).max(axis=1)
        finite = maps[np.isfinite(maps)]
        top = float(finite.max()) if finite.size else 0.0
        axes = area.subplots(1 if image is None else 2, MOST_EXAMPLES, squeeze=False)
        for ax in axes.flat:
            ax.set_axis_off()
        if image is not None:
            for i in range(count):
                pixels, how = _pixels(image[i])
                axes[0, i].imshow(pixels, **how)
                axes[0, i].set_title(f"example {i}")
        for i in range(count):
            shown = axes[-1, i].imshow(_marked(maps[i]), cmap=_colors("magma"), vmin=0, vmax=top or 1)
            axes[-1, i].set_title("|gradient|" + ("" if maps[i].any() else ": all zero"))
        area.colorbar(shown, ax=list(axes[-1]), shrink=0.9)

    return draw


def _pixels(image: Array) -> tuple[Array, dict[str, Any]]:
    """An image as matplotlib shows it: grey, or three channels between 0 and 1."""
    image = np.nan_to_num(image.astype(np.float64))
    if image.shape[0] < 3:
        return image.mean(axis=0), {"cmap": "gray"}
    low, high = image.min(), image.max()
    return np.moveaxis((image[:3] - low) / ((high - low) or 1.0), 0, -1), {}


def _tensor(gradient: Array) -> Callable[[Area], None]:
    """How the elements are distributed; of a convolution's weight also each filter."""

    def draw(area: Area) -> None:
        has_filters = gradient.ndim == 4 and min(gradient.shape[2:]) > 1
        axes = area.subplots(1, 2 if has_filters else 1, squeeze=False)[0]
        _histogram(axes[0], gradient)
        if has_filters:
            _filters(area, axes[1], gradient)

    return draw


def _histogram(ax: Any, gradient: Array) -> None:
    flat = gradient.astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        room = (high - low) or abs(low) or 1.0
        # equal elements still get a bar of some width
        ends = (low, high) if high - low > 1e-9 * max(abs(low), abs(high)) else (low - room, high + room)
        ax.hist(finite, bins=min(51, max(11, finite.size // 4)), range=ends, color=BLUE)
        ax.set_yscale("log", nonpositive="clip")
        if low <= 0 <= high:
            ax.axvline(0.0, color="black", linewidth=0.6)
    ax.set_xlabel("element")
    ax.set_ylabel("how many")
    if finite.size < flat.size:
        ax.set_title(f"{flat.size - finite.size} of {flat.size} not finite", color=RED)


def _filters(area: Area, ax: Any, gradient: Array) -> None:
    """The gradient of each filter, of each channel, as a tile."""
    out, channels, height, width = gradient.shape
    tiles = gradient.astype(np.float64).reshape(out * channels, height, width)[:MOST_FILTERS]
    # rows of whole filters where they fit, twice as many across as down
    across = channels * max(1, round(math.sqrt(2 * len(tiles)) / channels)) if channels <= 16 else 8
    across = min(across, len(tiles))
    down = -(-len(tiles) // across)
    sheet = np.zeros((down * (height + 1) - 1, across * (width + 1) - 1))
    for i, tile in enumerate(tiles):
        row, column = divmod(i, across)
        sheet[row * (height + 1) :, column * (width + 1) :][:height, :width] = tile
    finite = np.abs(sheet[np.isfinite(sheet)])
    top = float(finite.max()) if finite.size else 0.0
    shown = ax.imshow(_marked(sheet), cmap=_colors("RdBu_r"), vmin=-(top or 1), vmax=top or 1)
    ax.set_axis_off()
    which = "each filter" if len(tiles) == out * channels else f"the first {len(tiles)} filters"
    ax.set_title(f"{which} [{height}, {width}], {across} in a row")
    area.colorbar(shown, ax=ax, shrink=0.9)


def _norms(found: Mapping[str, float]) -> Callable[[Area], None]:
    """A bar for each tensor, in the order of the layers, on a logarithmic scale."""

    def draw(area: Area) -> None:
        ax = area.subplots()
        names, norms = list(found), np.array(list(found.values()))
        fine = np.isfinite(norms) & (norms > 0)
        floor = norms[fine].min() / 3 if fine.any() else 0.1
        ax.barh(names, np.where(fine, norms, floor) - floor, left=floor, color=BLUE)
        ax.set_xscale("log")
        ax.set_xlim(left=floor)
        for place, (norm, is_fine) in enumerate(zip(norms, fine, strict=True)):
            if not is_fine:
                ax.text(floor, place, f" {norm:g}", color=RED if norm != 0 else "black", va="center")
        ax.invert_yaxis()
        ax.margins(y=0.01)
        ax.grid(axis="x", linewidth=0.3)
        ax.set_xlabel("Euclidean norm")

    return draw


def _norm(gradient: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(gradient.astype(np.float64).ravel()))


def _marked(map: Array) -> Array:
    """What is not finite has a colour of its own."""
    return np.ma.masked_invalid(map)


def _colors(name: str) -> Any:
    import matplotlib

    return matplotlib.colormaps[name].with_extremes(bad=RED)


def _numpy(array: Array) -> Array:
    if hasattr(array, "__cuda_array_interface__"):
        return backend("cupy").to_numpy(array)
    return np.asarray(array)
