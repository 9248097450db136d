"""Two pictures in text: how the remainder shrinks (Taylor test), and which step is best (sweep)."""

from collections.abc import Callable

import numpy as np

from gradcheck.case import Case, choose_upstream, random_signs

__all__ = ["taylor", "taylor_orders", "sweep", "sweep_errors"]


def taylor_orders(
    case: Case, seed: int = 0, factor: float = 1.0
) -> list[tuple[float, float, float]]:
    """(h, |L(p + h v) - L(p) - h g.v|, order) for h = 2^-4 ... 2^-14.

    The remainder of a right gradient shrinks as h^2, of a wrong one as h: no tolerance is needed.
    factor multiplies the gradient, to show a wrong one.
    """
    rng = np.random.default_rng(seed)
    dy = choose_upstream(case, case.forward(), rng)
    grads = case.backward(dy)
    ways = {k: random_signs(p.shape, rng, 1)[0] / p.size**0.25 for k, p in case.arrays.items()}
    slope = factor * sum(float((grads[k] * way).sum()) for k, way in ways.items())
    before = {k: p.copy() for k, p in case.arrays.items()}
    start = np.array(case.forward())
    rows: list[tuple[float, float, float]] = []
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
    right, wrong = taylor_orders(case, seed), taylor_orders(case, seed, 1.001)
    lines = [f"Taylor test of {case.name}: remainder |L(p + h v) - L(p) - h g.v|", ""]
    head = "          h   remainder  order     0.1 % off  order   log10: * right, o 0.1 % off"
    lines.append(head)
    points = [np.log10(max(r, 1e-17)) for _, r, _ in right + wrong]
    low, high = min(points), max(points)
    for (h, r, o), (_, w, q) in zip(right, wrong, strict=True):
        places = [
            round(39 * (np.log10(max(v, 1e-17)) - low) / max(high - low, 1e-9)) for v in (w, r)
        ]
        dots = _dots(40, dict(zip(places, "o*", strict=True)))
        lines.append(f"  {h:9.2e}  {r:10.2e} {_order(o)}  {w:12.2e} {_order(q)}   |{dots}|")
    return [*lines, "", "order 2.00: the gradient is right.  towards 1.00: it is wrong."]


def _order(order: float) -> str:
    return "      " if np.isnan(order) else f"{order:6.2f}"


def _dots(width: int, marks: dict[int, str]) -> str:
    return "".join(marks.get(k, " ") for k in range(width))


def sweep_errors(loss: Callable, p: np.ndarray, grad: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The median error of central differences, relative to max |grad|, for every step size."""
    errors = []
    for h in steps:
        error = []
        for i in np.ndindex(p.shape):
            here, sides = p[i].copy(), []
            for x in (here + p.dtype.type(h), here - p.dtype.type(h)):
                p[i] = x
                sides.append(float(p.dtype.type(loss())))
            p[i] = here
            error.append(abs((sides[0] - sides[1]) / (2 * h) - grad[i]))
        errors.append(np.median(error) / abs(grad).max())
    return np.array(errors)


def sweep(smooth: Callable[[type], tuple[Callable, np.ndarray, np.ndarray]]) -> list[str]:
    """The U-curve in float64 and float32: truncation falls with h^2, rounding grows with 1/h."""
    steps = 10.0 ** -np.arange(0, 12.5, 0.5)
    curves = [sweep_errors(*smooth(dtype), steps) for dtype in (np.float64, np.float32)]
    lines = ["error of the numerical gradient against the step size (tanh layer, median entry)", ""]
    lines.append("        h     float64     float32   log10 of the error: d float64, s float32")
    for k, h in enumerate(steps):
        logs = [np.clip(np.log10(max(curve[k], 1e-13)), -13, 1) for curve in curves[::-1]]
        dots = _dots(43, {round(3 * (v + 13)): mark for v, mark in zip(logs, "sd", strict=True)})
        lines.append(f"  {h:7.1e}  {curves[0][k]:10.1e}  {curves[1][k]:10.1e}   |{dots}|")
    best = [(float(steps[c.argmin()]), float(c.min())) for c in curves]
    return [
        *lines,
        f"   best in float64: {best[0][1]:.0e} at h = {best[0][0]:.0e};"
        f" in float32: {best[1][1]:.0e} at h = {best[1][0]:.0e}",
        "   too long a step bends (h^2), too short a one drowns in rounding (1/h)",
    ]


def tanh_layer(dtype: type) -> tuple[Callable, np.ndarray, np.ndarray]:
    """Y = tanh(X W), L = sum of Y dY: the loss, W and its gradient."""
    rng = np.random.default_rng(0)
    X, W, dY = (rng.normal(size=shape) for shape in ((5, 3), (3, 7), (5, 7)))
    grad = X.T @ (dY * (1 - np.tanh(X @ W) ** 2))
    X, W, dY = (a.astype(dtype) for a in (X, W, dY))
    return lambda: (np.tanh(X @ W) * dY).sum(), W, grad
