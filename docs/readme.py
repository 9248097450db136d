"""Fill the marked parts of README.md from sources and measurements; nothing there is typed by hand."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

ORDER = {
    "functional_net.py": "the whole story in pure functions: forward, loss, backward, update",
    "net.py": "the same story in objects; samples are columns",
    "gradcheck/core.py": "how to know that a gradient is right",
    "cnn/activations.py": "layers that remember in the call, and forget in forward",
    "cnn/layers.py": "convolution, pooling, batch normalisation",
    "cnn/net.py": "a list of layers becomes a network",
    "cnn/kernels.py": "why the convolution is fast, in small named pieces",
}


def lines() -> str:
    """The reading order, with the length of each file."""
    rows = [
        f"{i}. [{name}]({name}), {len((ROOT / name).read_text(encoding='utf-8').splitlines())} lines: {why}"
        for i, (name, why) in enumerate(ORDER.items(), start=1)
    ]
    return "\n".join(rows)


def accuracy() -> str:
    """The table that benchmarks/accuracy.py measured."""
    return (ROOT / "benchmarks" / "accuracy.md").read_text(encoding="utf-8").strip()


PARTS = {"lines": lines, "accuracy": accuracy}


def filled(text: str) -> str:
    """The text with every marked part made anew."""
    for name, part in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda m: f"{m[1]}{part()}\n{m[2]}", text, flags=re.S)
        if found != 1:
            raise SystemExit(f"README.md: expected one part {name}, found {found}")
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{README.name} is up to date", file=sys.stderr)
