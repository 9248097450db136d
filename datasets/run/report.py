"""What a command tells at its end: accuracy, an example, weights, pictures, digits of one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.run.console import say
from datasets.run.loop import Run, saved
from datasets.run.predict import as_digit, as_picture, predict_pictures
from datasets.store.files import printable
from datasets.store.weights import Weights

__all__ = ["report", "confusion", "image_shape"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Probabilities = Callable[[Array], Array]


def report(
    run: Run,
    probabilities: Probabilities,
    X: Array,
    y: Array,
    weights: Weights,
    names: Sequence[str] | None = None,
) -> Integers:
    """Judge a network by probabilities(X) (N, K) on X (N, D) or (N, C, H, W), y (N, K) one-hot.

    Then does what --save, --pictures and --predict ask for. Returns the guessed classes (N,).
    """
    names = names or [str(k) for k in range(y.shape[1])]
    P = np.concatenate([probabilities(X[i : i + 1000]) for i in range(0, len(X), 1000)])
    if not np.isfinite(P).all():
        run.kept = None  # what gives such scores is not worth keeping
        advice = "training has diverged, try a tenth of --lr"
        raise FloatingPointError(f"the scores became inf or nan: {advice}")
    truth, guess = y.argmax(axis=1), P.argmax(axis=1)  # (N,)
    right = int(np.count_nonzero(truth == guess))
    path = run.options["save"] and saved(run.options["save"], weights)
    say(f"{run.judged_on} accuracy {right / len(X):.2%} ({right} of {len(X)}){_time(run)}")
    shown, said = names[truth[0]], names[guess[0]]
    say(f"example: {run.judged_on} image 0 is {shown}, predicted {said} ({P[0].max():.1%})")
    if path:
        say(f"weights are in {printable(path)}")
    if run.options["pictures"]:
        _pictures(run, weights, X, truth, P, names)
    if run.own_pictures:
        shape = image_shape(X.shape[1:])
        prepare = as_digit if shape == (1, 28, 28) and not run.folder else as_picture(shape)

        def seen(images: Array) -> Array:
            return probabilities(images.reshape(-1, *X.shape[1:]))

        predict_pictures(run.own_pictures, seen, names, prepare)
    return guess


def _time(run: Run) -> str:
    seconds = sum(row["seconds"] for row in run.history)
    epochs = "1 epoch" if run.epoch == 1 else f"{run.epoch} epochs"
    return f" after {epochs} in {seconds:.1f} s" if run.epoch else ""


def confusion(truth: Integers, guess: Integers, K: int) -> Integers:
    """How often each true class (row) was taken for each class (column), (K, K)."""
    return np.bincount(K * truth + guess, minlength=K * K).reshape(K, K)


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of a sample: its own, or for a row (D,) a square grey or RGB picture, or a line."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    for C in (1, 3):
        side = round((shape[0] / C) ** 0.5)
        if C * side * side == shape[0]:
            return C, side, side
    return 1, 1, shape[0]


def _pictures(
    run: Run, weights: Weights, X: Array, truth: Integers, P: Array, names: Sequence[str]
) -> None:
    from datasets.draw.confusion import confusion_picture
    from datasets.draw.curves import curves
    from datasets.draw.sheets import filters_sheet, mistakes_sheet, weights_sheet

    folder = Path(run.options["pictures"])
    shape, guess = image_shape(X.shape[1:]), P.argmax(axis=1)
    W = next(iter(weights.values()))
    if W.ndim == 4:
        filters_sheet(W, folder / "filters.png")
    else:
        weights_sheet(W, shape, folder / "weights.png")
    images, sure = X.reshape(-1, *shape), P.max(axis=1)
    mistakes_sheet(images, truth, guess, sure, names, folder / "mistakes.png")
    confusion_picture(truth, guess, names, folder / "confusion.png")
    if run.history:
        curves(run.history, folder / "curves.png")
    say(f"pictures are in {printable(folder)}")
