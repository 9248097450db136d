"""The worked net as a drawing: the weights on its edges, the first sample on its way through."""

from itertools import pairwise

import numpy as np

from docs.mathml import number
from docs.worked import Numbers

__all__ = ["net"]

COLUMNS = {  # x of a column of nodes, their y, the array whose first row they show
    "X": (55, (45, 125, 205)),
    "A1": (240, (80, 170)),
    "logits": (425, (80, 170)),
}


def net(numbers: Numbers) -> str:
    """The 3-2-2 net as inline SVG; W and b are marked as symbols of the row."""
    columns, parts = list(COLUMNS.values()), []
    for n, (left, right) in enumerate(pairwise(columns), start=1):
        parts += edges(left, right, numbers[f"W{n}"])
        for y, b in zip(right[1], numbers[f"b{n}"][0], strict=True):
            text = number(b) if b < 0 else f"+{number(b)}"
            parts.append(f'<text data-s="b" x="{right[0]}" y="{y + 38}">{text}</text>')
    for name, (x, ys) in COLUMNS.items():
        parts.append(f'<text class="name" x="{x}" y="15">{name}[0]</text>')
        for y, value in zip(ys, numbers[name][0], strict=True):
            parts.append(f'<circle cx="{x}" cy="{y}" r="21"/>')
            parts.append(f'<text class="value" x="{x}" y="{y + 5}">{number(value)}</text>')
    title = "A net of 3 inputs, 2 hidden neurons and 2 classes, with its weights and biases"
    head = f'<svg class="net" viewBox="0 0 480 236" role="img" aria-label="{title}">'
    return f"{head}{''.join(parts)}</svg>"


def edges(left: tuple, right: tuple, W: np.ndarray) -> list[str]:
    """Lines from every node on the left to every one on the right, each with its weight."""
    lines, labels = [], []
    for i, j in np.ndindex(W.shape):
        (x, y), (x2, y2) = (left[0], left[1][i]), (right[0], right[1][j])
        lines.append(f'<line x1="{x}" y1="{y}" x2="{x2}" y2="{y2}"/>')
        at = f'x="{x + 0.36 * (x2 - x):.0f}" y="{y + 0.36 * (y2 - y) + 4:.0f}"'
        labels.append(f'<text data-s="W" {at}>{number(float(W[i, j]))}</text>')
    return lines + labels
