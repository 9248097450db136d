"""What a command tells at its end: accuracy, an example, weights, pictures, digits of one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets import many
from datasets.run.console import say
from datasets.run.data import image_shape
from datasets.run.targets import saved
from datasets.store.files import printable

if TYPE_CHECKING:
    from datasets.run.run import Run

__all__ = ["Probabilities", "report", "most_confused"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Probabilities = Callable[[Array], Array]
BLOCK = 1000  # images whose probabilities are held at a time


class Judged(NamedTuple):
    """Images (N, ...), which class each is, is taken for, and how surely (N,)."""

    X: Array
    truth: Integers
    guess: Integers
    sure: Array


def report(run: "Run", probabilities: Probabilities, X: Array, y: npt.NDArray) -> None:
    """Save the weights, then judge probabilities(X) (N, K) on X (N, D) or (N, C, H, W).

    y are labels (N,) or one-hot rows (N, K). Then does what --pictures and --predict ask for.
    Exits with 1 if --save was written elsewhere.
    """
    if not many.leads():
        return
    if not len(X):
        _predict(run, probabilities, X.shape[1:])
        return
    path = run.options.save and saved(run.options.save, run.kept, None, None, run.is_about())
    judged = _judged(probabilities, X, y)
    _tell(run, judged)
    if path:
        say(f"weights are in {printable(path)}")
    if run.options.pictures:
        _pictures(run, judged)
    if X.ndim == 4:
        for line in most_confused(judged.truth, judged.guess, run.names):
            say(line)
    if run.own_pictures:
        _predict(run, probabilities, X.shape[1:])
    if path != run.options.save:
        raise SystemExit(1)


def _judged(probabilities: Probabilities, X: Array, y: npt.NDArray) -> Judged:
    guess, sure = np.empty(len(X), np.intp), np.empty(len(X))
    for i in range(0, len(X), BLOCK):
        P = probabilities(X[i : i + BLOCK])  # (N, K)
        if not np.isfinite(P).all():
            advice = "training has diverged, try a tenth of --lr"
            raise FloatingPointError(f"the scores became inf or nan: {advice}")
        guess[i : i + BLOCK], sure[i : i + BLOCK] = P.argmax(axis=1), P.max(axis=1)
    return Judged(X, y if y.ndim == 1 else y.argmax(axis=1), guess, sure)


def _tell(run: "Run", judged: Judged) -> None:
    (X, truth, guess, sure), history = judged, run.progress.history
    right = int(np.count_nonzero(truth == guess))
    epochs = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    time = f" after {epochs} in {sum(row['seconds'] for row in history):.1f} s" if history else ""
    say(f"{run.judged_on} accuracy {right / len(X):.2%} ({right} of {len(X)}){time}")
    shown, said = run.names[truth[0]], run.names[guess[0]]
    say(f"example: {run.judged_on} image 0 is {shown}, predicted {said} ({sure[0]:.1%})")
    if why := learnt_nothing(history, guess, len(run.names)):
        say(why)


def learnt_nothing(history: list[dict[str, float]], guess: Integers, K: int) -> str:
    """A sentence on a run whose loss and accuracy are those of guessing, or ""."""
    if not history or K < 2:
        return ""
    if history[-1]["loss"] < 0.98 * np.log(K) or history[-1]["accuracy"] > 1.5 / K:
        return ""
    one = len(set(guess.tolist())) == 1
    seen = "every image is taken for one class" if one else "it is no better than guessing"
    return (
        f"nothing was learnt: the loss is {history[-1]['loss']:.2f}, that of guessing among {K} "
        f"classes is {np.log(K):.2f}, and {seen}; --lr is too large (hidden neurons that are 0 "
        "for every image), too small, or the run too short: try a tenth, then more --epochs"
    )


def most_confused(
    truth: Integers, guess: Integers, names: Sequence[str], rows: int = 5
) -> list[str]:
    """A table of the classes that were most often taken for another; truth and guess (N,)."""
    wrong = truth != guess
    pairs, times = np.unique(np.stack([truth, guess])[:, wrong], axis=1, return_counts=True)
    cells = [("most confused", "taken for", "times")]
    for i in np.argsort(-times, kind="stable")[:rows]:
        cells.append((names[pairs[0, i]], names[pairs[1, i]], str(times[i])))
    wide = [max(len(row[i]) for row in cells) for i in (0, 1)]
    lines = [f"{t:{wide[0]}}  {g:{wide[1]}}  {n:>5}" for t, g, n in cells]
    return lines if len(lines) > 1 else []


def _predict(run: "Run", probabilities: Probabilities, shape: tuple[int, ...]) -> None:
    from datasets.run.predict import as_digit, as_picture, predict_pictures

    digit = run.is_about().prepared == "digit"  # pictures of a folder are only fitted
    predict_pictures(
        run.own_pictures,
        lambda images: probabilities(images.reshape(-1, *shape)),
        run.names,
        as_digit if digit else as_picture(image_shape(shape)),
        run.options.large or None,
    )


def _pictures(run: "Run", judged: Judged) -> None:
    from datasets.draw.confusion import confusion_picture
    from datasets.draw.curves import curves
    from datasets.draw.sheets import filters_sheet, mistakes_sheet, weights_sheet

    (X, truth, guess, sure), names = judged, run.names
    folder, shape = Path(run.options.pictures or ""), image_shape(X.shape[1:])
    W = next(iter(run.kept.values()))
    if W.ndim == 4:
        filters_sheet(W, folder / "filters.png")
    else:
        weights_sheet(W, shape, folder / "weights.png")
    images = X.reshape(-1, *shape)
    mistakes_sheet(images, truth, guess, sure, names, folder / "mistakes.png")
    confusion_picture(truth, guess, names, folder / "confusion.png")
    if run.progress.history:
        curves(run.progress.history, folder / "curves.png")
    say(f"pictures are in {printable(folder)}")
