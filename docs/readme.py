"""Fill the marked parts of README.md from sources and measurements; nothing is typed by hand."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
sys.path.insert(0, str(ROOT))

from docs.excerpt import excerpt  # noqa: E402

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
    rows = []
    for i, (name, why) in enumerate(ORDER.items(), start=1):
        count = len((ROOT / name).read_text(encoding="utf-8").splitlines())
        rows.append(f"{i}. [{name}]({name}), {count} lines: {why}")
    return "\n".join(rows)


def accuracy() -> str:
    """The table that benchmarks/accuracy.py measured."""
    return (ROOT / "benchmarks" / "accuracy.md").read_text(encoding="utf-8").strip()


PARTS = {"lines": lines, "accuracy": accuracy, "E5": excerpt}


def filled(text: str) -> str:
    """The text with every marked part made anew."""
    for name, part in PARTS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if (text.count(start), text.count(end)) != (1, 1):
            raise SystemExit(f"README.md: expected {start.strip()} and {end}, once each")
        before, _, rest = text.partition(start)
        text = f"{before}{start}{part()}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{README.name} is up to date", file=sys.stderr)
