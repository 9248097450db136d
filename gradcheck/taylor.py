"""Two pictures in text: how the remainder shrinks (Taylor test), and which step is best (sweep)."""

from collections.abc import Callable

import numpy as np

from gradcheck.case import Case, choose_upstream, random_signs

__all__ = ["taylor", "taylor_orders", "sweep", "sweep_errors"]

Orders = list[tuple[float, float, float]]


def taylor_orders(case: Case, seed: int = 0, factor: float = 1.0) -> Orders:
    """(h, |L(p + h v) - L(p) - h g.v|, order) for h = 2^-4 ... 2^-14.

    The remainder of a right gradient shrinks as h^2, of a wrong one as h: no tolerance is needed.
    factor multiplies the gradient, to show a wrong one.
    """
    rng, start = np.random.default_rng(seed), np.array(case.forward())
    dy = choose_upstream(case, start, rng)
    grads = case.backward(dy)
    ways = {k: random_signs(p.shape, rng, 1)[0] / p.size**0.25 for k, p in case.arrays.items()}
    slope = factor * sum(float((grads[k] * way).sum()) for k, way in ways.items())
    before = {k: p.copy() for k, p in case.arrays.items()}
    rows: Orders = []
    for h in 2.0 ** -np.arange(4, 15):
        for k, p in case.arrays.items():
            p[...] = before[k] + h * ways[k]
        rest = abs(((case.forward() - start) * dy).sum() - h * slope)
        order = np.log2(rows[-1][1] / rest) if rows and rest > 0 else np.nan
        rows.append((float(h), float(rest), float(order)))
    for k, p in case.arrays.items():
        p[...] = before[k]
    return rows


def taylor(case: Case, seed: int = 0) -> list[str]:
    """The remainder with our gradient, and with one that is 0.1 % too large."""
    pairs = zip(taylor_orders(case, seed), taylor_orders(case, seed, 1.001), strict=True)
    said, points = [], []
    for (h, r, o), (_, w, q) in pairs:
        orders = ["      " if np.isnan(order) else f"{order:6.2f}" for order in (o, q)]
        said.append(f"  {h:9.2e}  {r:10.2e} {orders[0]}  {w:12.2e} {orders[1]}")
        points.append({"o": w, "*": r})
    return [
        f"Taylor test of {case.name}: remainder |L(p + h v) - L(p) - h g.v|",
        "",
        "          h   remainder  order     0.1 % off  order   log10: * right, o 0.1 % off",
        *plotted(said, points, 40),
        "",
        "order 2.00: the gradient is right.  towards 1.00: it is wrong.",
    ]


def plotted(lines: list[str], points: list[dict[str, float]], width: int) -> list[str]:
    """Behind each line a mark for each of its points, on one logarithmic scale."""
    logs = [{mark: np.log10(max(v, 1e-17)) for mark, v in row.items()} for row in points]
    low = min(min(row.values()) for row in logs)
    scale = (width - 1) / max(max(max(row.values()) for row in logs) - low, 1e-9)
    for k, row in enumerate(logs):
        marks = {round(scale * (v - low)): mark for mark, v in row.items()}
        lines[k] += f"   |{''.join(marks.get(i, ' ') for i in range(width))}|"
    return lines


def sweep_errors(loss: Callable, p: np.ndarray, grad: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The median error of central differences, relative to max |grad|, for every step size."""
    errors = np.zeros((len(steps), *p.shape))
    for k, h in enumerate(steps):
        for i in np.ndindex(p.shape):
            here, sides = p[i].copy(), []
            for x in (here + p.dtype.type(h), here - p.dtype.type(h)):
                p[i] = x
                sides.append(float(p.dtype.type(loss())))
            p[i] = here
            errors[k][i] = abs((sides[0] - sides[1]) / (2 * h) - grad[i])
    return np.median(errors.reshape(len(steps), -1), axis=1) / abs(grad).max()


def sweep(smooth: Callable[[type], tuple[Callable, np.ndarray, np.ndarray]]) -> list[str]:
    """The U-curve in float64 and float32: truncation falls with h^2, rounding grows with 1/h."""
    steps = 10.0 ** -np.arange(0, 12.5, 0.5)
    wide, short = (sweep_errors(*smooth(dtype), steps) for dtype in (np.float64, np.float32))
    rows = list(zip(steps, wide, short, strict=True))
    said = [f"  {h:7.1e}  {d:10.1e}  {s:10.1e}" for h, d, s in rows]
    best = [f"{c.min():.0e} at h = {steps[c.argmin()]:.0e}" for c in (wide, short)]
    return [
        "error of the numerical gradient against the step size (tanh layer, median entry)",
        "",
        "        h     float64     float32   log10 of the error: d float64, s float32",
        *plotted(said, [{"s": s, "d": d} for _, d, s in rows], 43),
        f"   best in float64: {best[0]}; in float32: {best[1]}",
        "   too long a step bends (h^2), too short a one drowns in rounding (1/h)",
    ]


def tanh_layer(dtype: type) -> tuple[Callable, np.ndarray, np.ndarray]:
    """Y = tanh(X W), L = sum of Y dY: the loss, W and its gradient."""
    rng = np.random.default_rng(0)
    X, W, dY = (rng.normal(size=shape) for shape in ((5, 3), (3, 7), (5, 7)))
    grad = X.T @ (dY * (1 - np.tanh(X @ W) ** 2))
    X, W, dY = (a.astype(dtype) for a in (X, W, dY))
    return lambda: (np.tanh(X @ W) * dY).sum(), W, grad
