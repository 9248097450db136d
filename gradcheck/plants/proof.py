"""What the checker is worth: mistakes found, correct code left in peace. The README's table."""

import re
import time
from collections.abc import Iterator

import numpy as np

import cnn
from gradcheck.case import Case
from gradcheck.judge import judge
from gradcheck.ours import adapters, specimens
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant
from gradcheck.plants.planting import examine

__all__ = ["correct_cases", "false_alarms", "harvest", "named", "blamed", "proof"]


def correct_cases(count: int, seed: int = 0) -> Iterator[tuple[str, Case]]:
    """Correct layers and nets of random shapes, at awkward points."""
    for k in range(count):
        kind = list(MAKERS)[k % len(MAKERS)]
        yield kind, MAKERS[kind](np.random.default_rng((seed, k)))


def _sizes(rng: np.random.Generator, n: int) -> list[int]:
    return [int(k) for k in rng.integers(2, 8, size=n)]


def _functional(rng: np.random.Generator, scale: float = 1.0, bias: float = 1.0) -> Case:
    n, d, h, k = _sizes(rng, 4)
    params = specimens.functional_params(rng, (d, h, k))
    for w, p in params._asdict().items():
        p[...] = rng.normal(size=p.shape) * (scale if w.startswith("W") else bias)
    X = rng.normal(size=(n, d))
    return adapters.functional_case(params, X, specimens.onehot(n, k, rng))


def _blank(rng: np.random.Generator) -> Case:
    """Zero biases, blank images: every pre-activation of these sits exactly on the kink."""
    case = _functional(rng, bias=0.0)
    case.arrays["X"][rng.random(len(case.arrays["X"])) < 0.5] = 0
    return case


def _dead(rng: np.random.Generator) -> Case:
    case = _functional(rng)
    case.arrays["b1"][..., 0] = -100.0
    return case


def _images(rng: np.random.Generator) -> tuple[int, ...]:
    n, c = _sizes(rng, 2)
    return n, c, *(int(k) for k in rng.integers(4, 8, size=2))


def _pooling(rng: np.random.Generator) -> Case:
    kernel, stride = (int(k) for k in rng.integers(1, 4, size=2))
    layer = cnn.MaxPool2D(kernel, stride)
    return adapters.cnn_layer(layer, rng.normal(size=_images(rng)))


def _tied(rng: np.random.Generator) -> Case:
    case = _pooling(rng)
    X = case.arrays["X"]
    X[...] = rng.integers(0, 3, size=X.shape)
    return case


def _batchnorm(rng: np.random.Generator) -> Case:
    shape = _images(rng)
    layer = cnn.BatchNorm2D(shape[1], dtype=np.float64)
    return adapters.cnn_layer(
        specimens.generic(layer, rng), rng.normal(size=shape) * rng.uniform(0.1, 30)
    )


def _conv(rng: np.random.Generator) -> Case:
    shape, f = _images(rng), int(rng.integers(1, 4))
    size, stride, pad = (int(k) for k in rng.integers(1, 3, size=3))
    layer = cnn.Conv2D(shape[1], f, size, stride, pad, dtype=np.float64)
    return adapters.cnn_layer(specimens.generic(layer, rng), rng.normal(size=shape))


def _columns(rng: np.random.Generator) -> Case:
    n, d, h, k = _sizes(rng, 4)
    names = ["ReLuLayer", "LeakyReLuLayer", "AbsLayer", "TanhLayer", "SigmoidLayer"]
    sizes: list[int | str] = [d, h, str(rng.choice(names)), h, str(rng.choice(names)), k]
    X = np.array(rng.normal(size=(d, n)).round(1))
    return adapters.net_case(specimens.net_model(rng, sizes), X, specimens.onehot(n, k, rng).T)


MAKERS = {
    "relu net": _functional, "blank images": _blank, "dead units": _dead,
    "vanishing net": lambda rng: _functional(rng, scale=1e-3, bias=1e-3),
    "max pooling": _pooling, "tied pooling": _tied, "batchnorm": _batchnorm, "convolution": _conv,
    "columns net": _columns,
    # scores in the hundreds: the loss is a small difference of large numbers
    "confident net": lambda rng: _functional(rng, scale=30.0),
}  # fmt: skip


def false_alarms(count: int, seed: int = 0) -> tuple[dict[str, list[int]], list[str]]:
    """{kind: [cases, arrays, entries, kinks settled, false alarms]}, and what was wrongly said."""
    table: dict[str, list[int]] = {}
    wrong = []
    for kind, case in correct_cases(count, seed):
        report = judge(case, seed)
        row = table.setdefault(kind, [0] * 5)
        entries = sum(r.result.numeric.size for r in report.rows)
        for k, v in enumerate((1, len(report.rows), entries, report.kinks, not report.ok)):
            row[k] += int(v)
        if not report.ok:
            wrong.append(str(report))
    return table, wrong


def named(plant: Plant, causes: list[str]) -> bool:
    return bool(plant.cause) and any(re.search(plant.cause, cause) for cause in causes)


def blamed(plant: Plant, blames: list[str], cases: list[str]) -> bool:
    """By the blame pass; a mistake outside of any layer by the name of the case that failed."""
    return not plant.blame or any(plant.blame in said for said in [*blames, *cases])


def harvest(plants: list[Plant], quick: bool = True) -> Iterator[tuple[Plant, bool, bool, bool]]:
    """(plant, found, named rightly, blamed rightly) for each."""
    for plant in plants:
        h = examine(plant, quick=quick)
        cases = [report.name for report in h.reports]
        yield plant, h.found, named(plant, h.causes), blamed(plant, h.blames, cases)


def proof(count: int, seed: int = 0) -> Iterator[str]:
    """The table, line by line, in Markdown."""
    start = time.perf_counter()
    yield "| planted in | mistakes | found | cause named | layer blamed |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    total = np.zeros(4, int)
    for target in specimens.CASES:
        rows = [row[1:] for row in harvest([p for p in PLANTS if p.target == target])]
        sums = np.array([len(rows), *np.sum(rows, axis=0)])
        total += sums
        yield f"| {target} | " + " | ".join(map(str, sums)) + " |"
    yield "| **all** | " + " | ".join(f"**{k}**" for k in total) + " |"
    yield ""
    yield "| correct code | cases | arrays | entries | on a kink, settled | false alarms |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    table, wrong = false_alarms(count, seed)
    for kind, row in table.items():
        yield f"| {kind} | " + " | ".join(f"{k:,}" for k in row) + " |"
    sums = np.sum(list(table.values()), axis=0)
    yield "| **all** | " + " | ".join(f"**{k:,}**" for k in sums) + " |"
    yield from wrong
    yield f"\n{time.perf_counter() - start:.0f} s"
