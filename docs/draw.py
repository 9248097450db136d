"""A page to draw digits on, with a network in it that answers and learns: writes docs/draw.html.

Read draw.js for the mathematics and draw_prepare.js for what becomes of a drawing.
"""

import base64
import json
import os
import sys
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from datasets import load_weights  # noqa: E402
from datasets.run import console  # noqa: E402
from datasets.run.report import image_shape  # noqa: E402
from datasets.store.files import atomic, printable  # noqa: E402

__all__ = ["build", "one_hidden_layer", "packed", "rounded"]

Array = npt.NDArray[np.floating]

WEIGHTS, PAGE = HERE / "draw.h5", HERE / "draw.html"
NAMES = {"layer_1/W": "W1", "layer_1/b": "b1", "layer_2/W": "W2", "layer_2/b": "b2"}
LEVELS = 2**15  # a weight is stored as one of the integers from -LEVELS + 1 to LEVELS - 1


def build(weights: str | Path = WEIGHTS, docs: str = "") -> str:
    """The whole page for a weight file, in one string; docs is the way from it to this folder.

    Raises ValueError, as load_weights does, and for weights that are not those of one hidden layer.
    """
    arrays = one_hidden_layer(weights)
    D, H = arrays["W1"].shape
    packet = {"shape": image_shape((D,)), **{name: packed(W) for name, W in arrays.items()}}
    palette = text("page.css").partition("\n\n")[0]  # the colours of the side-by-side page
    return Template(text("draw_page.html")).substitute(
        css=f"{palette}\n\n{text('draw.css')}",
        weights=json.dumps(packet),
        mathematics=text("draw.js"),
        prepare=text("draw_prepare.js"),
        pictures=text("draw_pictures.js"),
        check=text("draw_check.js"),
        ui=text("draw_ui.js"),
        docs=escape(docs),
        file=escape(printable(Path(weights).name)),
        D=D,
        H=H,
        K=arrays["W2"].shape[1],
    )


def text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def one_hidden_layer(path: str | Path) -> dict[str, Array]:
    """W1 (D, H), b1 (1, H), W2 (H, K) and b2 (1, K) of a weight file, whichever net wrote it.

    Raises ValueError for other networks.
    """
    weights = load_weights(path)
    match [W.shape for W in weights.values()]:
        case [(D, H), (b1,), (W2, K), (b2,)] if b1 == W2 == H and b2 == K and D * H * K > 0:
            if weights.keys() == NAMES.keys():
                return {name: np.atleast_2d(weights[key]) for key, name in NAMES.items()}
    shapes = ", ".join(f"{key} {W.shape}" for key, W in weights.items())
    raise ValueError(
        f"{printable(path)}: the page expects one hidden layer, layer_1/W (D, H), "
        f"layer_1/b (H,), layer_2/W (H, K) and layer_2/b (K,), the file has {printable(shapes)}"
    )


def unit(W: Array) -> float:
    """The distance of the stored levels: a power of two, so that level * unit is exact."""
    _, exponent = np.frexp(np.abs(W).max())
    return float(np.ldexp(1.0, int(exponent))) / LEVELS


def levels(W: Array) -> npt.NDArray[np.int16]:
    return np.rint(W.astype(np.float64) / unit(W)).clip(1 - LEVELS, LEVELS - 1).astype(np.int16)


def rounded(W: Array) -> Array:
    """The weights as the page has them, 16 bits each; float32, and exact in it."""
    return (levels(W) * unit(W)).astype(np.float32)


def packed(W: Array) -> dict[str, Any]:
    """A matrix for the page: its 16-bit levels, row after row, little-endian, in base64."""
    rows, columns = W.shape
    data = base64.b64encode(levels(W).astype("<i2").tobytes()).decode()
    return {"rows": rows, "columns": columns, "unit": unit(W), "levels": data}


def way_from(folder: Path) -> str:
    """How links in a page in that folder begin to reach this folder."""
    try:
        way = Path(os.path.relpath(HERE, folder)).as_posix()
    except ValueError:  # another drive
        return f"{HERE.as_uri()}/"
    return "" if way == "." else f"{way}/"


def main(
    weights: Annotated[
        Path,
        console.option(
            "--weights",
            metavar="FILE.h5",
            help="Weights with one hidden layer, as --save wrote them.  [default: docs/draw.h5]",
        ),
    ] = WEIGHTS,
    to: Annotated[
        Path,
        console.option(
            "--to", metavar="FILE.html", help="The page to write.  [default: docs/draw.html]"
        ),
    ] = PAGE,
) -> None:
    """Write a page to draw on, with these weights in it: it needs no server and no network."""
    page = build(weights, way_from(to.resolve().parent))
    with atomic(to) as name:
        Path(name).write_text(page, encoding="utf-8", newline="\n")
    console.say(f"written to {printable(to)}")


if __name__ == "__main__":
    console.run(main)
