"""What a command tells at its end: accuracy, an example, weights, pictures, digits of one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets import many
from datasets.run.console import say
from datasets.run.data import image_shape
from datasets.run.predict import as_digit, as_picture, predict_pictures
from datasets.run.targets import saved
from datasets.store.files import printable
from datasets.store.weights import Weights

if TYPE_CHECKING:
    from datasets.run.loop import Run

__all__ = ["Probabilities", "report", "most_confused"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Probabilities = Callable[[Array], Array]


def report(run: "Run", probabilities: Probabilities, X: Array, y: Array) -> None:
    """Save the weights, then judge probabilities(X) (N, K) on X (N, D) or (N, C, H, W), y (N, K).

    Then does what --pictures and --predict ask for. Exits with 1 if --save was written elsewhere.
    """
    if not many.leads():
        return
    if not len(X):
        _predict(run, probabilities, X.shape[1:])
        return
    path = run.options.save and saved(run.options.save, run.kept[0], None, None, run.is_about())
    P = np.concatenate([probabilities(X[i : i + 1000]) for i in range(0, len(X), 1000)])
    if not np.isfinite(P).all():
        advice = "training has diverged, try a tenth of --lr"
        raise FloatingPointError(f"the scores became inf or nan: {advice}")
    truth, guess = y.argmax(axis=1), P.argmax(axis=1)  # (N,)
    right = int(np.count_nonzero(truth == guess))
    say(f"{run.judged_on} accuracy {right / len(X):.2%} ({right} of {len(X)}){_time(run)}")
    shown, said = run.names[truth[0]], run.names[guess[0]]
    say(f"example: {run.judged_on} image 0 is {shown}, predicted {said} ({P[0].max():.1%})")
    if why := learnt_nothing(run.progress.history, guess, len(run.names)):
        say(why)
    if path:
        say(f"weights are in {printable(path)}")
    if run.options.pictures:
        _pictures(run, run.kept[0], X, truth, P, run.names)
    if X.ndim == 4:
        for line in most_confused(truth, guess, run.names):
            say(line)
    if run.own_pictures:
        _predict(run, probabilities, X.shape[1:])
    if path != run.options.save:
        raise SystemExit(1)


def learnt_nothing(history: list[dict[str, float]], guess: Integers, K: int) -> str:
    """A sentence on a run whose loss is not below log K, that of guessing, or ""."""
    if not history or history[-1]["loss"] < 0.98 * np.log(K) or K < 2:
        return ""
    one = len(set(guess.tolist())) == 1
    seen = "every image is taken for one class" if one else "it is no better than guessing"
    return (
        f"nothing was learnt: the loss is {history[-1]['loss']:.2f}, that of guessing among {K} "
        f"classes is {np.log(K):.2f}, and {seen}; --lr is too large (hidden neurons that are 0 "
        "for every image), too small, or the run too short: try a tenth, then more --epochs"
    )


def _time(run: "Run") -> str:
    seconds = sum(row["seconds"] for row in run.progress.history)
    epochs = "1 epoch" if run.progress.epoch == 1 else f"{run.progress.epoch} epochs"
    return f" after {epochs} in {seconds:.1f} s" if run.progress.epoch else ""


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
    C, H, W = image_shape(shape)
    digit = run.is_about().prepared == "digit"  # pictures of a folder are only fitted
    predict_pictures(
        run.own_pictures,
        lambda images: probabilities(images.reshape(-1, *shape)),
        run.names,
        as_digit if digit else as_picture((C, H, W)),
        run.options.large or None,
    )


def _pictures(
    run: "Run", weights: Weights, X: Array, truth: Integers, P: Array, names: Sequence[str]
) -> None:
    from datasets.draw.confusion import confusion_picture
    from datasets.draw.curves import curves
    from datasets.draw.sheets import filters_sheet, mistakes_sheet, weights_sheet

    folder = Path(run.options.pictures or "")
    shape, guess = image_shape(X.shape[1:]), P.argmax(axis=1)
    W = next(iter(weights.values()))
    if W.ndim == 4:
        filters_sheet(W, folder / "filters.png")
    else:
        weights_sheet(W, shape, folder / "weights.png")
    images, sure = X.reshape(-1, *shape), P.max(axis=1)
    mistakes_sheet(images, truth, guess, sure, names, folder / "mistakes.png")
    confusion_picture(truth, guess, names, folder / "confusion.png")
    if run.progress.history:
        curves(run.progress.history, folder / "curves.png")
    say(f"pictures are in {printable(folder)}")
