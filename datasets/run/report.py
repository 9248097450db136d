"""What a command tells at its end: accuracy, an example, weights, pictures, digits of one's own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from datasets.read.picture import look
from datasets.run.console import say
from datasets.run.targets import saved
from datasets.store.files import printable, regular_file
from datasets.store.weights import Weights

if TYPE_CHECKING:
    from datasets.run.loop import Run

__all__ = ["Probabilities", "own_pictures", "report", "confusion", "image_shape"]

Array = npt.NDArray[np.floating]
Integers = npt.NDArray[np.integer]
Probabilities = Callable[[Array], Array]


def own_pictures(first: Path | None, others: list[str]) -> list[Path]:
    """The pictures of --predict a.png b.png: the option takes one, the rest are arguments."""
    if others and first is None:
        raise ValueError(f"expected options only, got the argument {others[0]!r}")
    paths = [regular_file(path) for path in (first, *map(Path, others))] if first else []
    for path in paths:
        look(path)  # a file that is no picture is told now, and not after the training
    return paths


def report(run: "Run", probabilities: Probabilities, X: Array, y: Array) -> None:
    """Save the weights, then judge probabilities(X) (N, K) on X (N, D) or (N, C, H, W), y (N, K).

    Then does what --pictures and --predict ask for. Exits with 1 if --save was written elsewhere.
    """
    path = run.options.save and saved(run.options.save, run.kept[0])
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
        for line in most_confused(confusion(truth, guess, len(run.names)), run.names):
            say(line)
    for picture in run.own_pictures:
        image = _prepared(picture, image_shape(X.shape[1:]), run.judged_on == "validation")
        _own_picture(picture, image, probabilities(image.reshape(1, *X.shape[1:]))[0], run.names)
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
        f"classes is {np.log(K):.2f}, and {seen}; --lr is likely too large (hidden neurons that "
        "are 0 for every image) or too small: try a tenth, then ten times as much"
    )


def _time(run: "Run") -> str:
    seconds = sum(row["seconds"] for row in run.progress.history)
    epochs = "1 epoch" if run.progress.epoch == 1 else f"{run.progress.epoch} epochs"
    return f" after {epochs} in {seconds:.1f} s" if run.progress.epoch else ""


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


def most_confused(counts: Integers, names: Sequence[str], rows: int = 5) -> list[str]:
    """A table of the classes that were most often taken for another, from counts (K, K)."""
    wrong = counts - np.diag(counts.diagonal())
    worst = np.argsort(-wrong, axis=None, kind="stable")[:rows]
    cells = [("most confused", "taken for", "times")]
    for truth, guess in zip(*np.unravel_index(worst, wrong.shape), strict=True):
        if wrong[truth, guess]:
            cells.append((names[truth], names[guess], str(wrong[truth, guess])))
    wide = [max(len(row[i]) for row in cells) for i in (0, 1)]
    lines = [f"{t:{wide[0]}}  {g:{wide[1]}}  {n:>5}" for t, g, n in cells]
    return lines if len(lines) > 1 else []


def _pictures(
    run: "Run", weights: Weights, X: Array, truth: Integers, P: Array, names: Sequence[str]
) -> None:
    from datasets.draw import sheets as pictures

    folder = Path(run.options.pictures or "")
    shape, guess = image_shape(X.shape[1:]), P.argmax(axis=1)
    W = next(iter(weights.values()))
    if W.ndim == 4:
        pictures.filters_sheet(W, folder / "filters.png")
    else:
        pictures.weights_sheet(W, shape, folder / "weights.png")
    images, sure = X.reshape(-1, *shape), P.max(axis=1)
    pictures.mistakes_sheet(images, truth, guess, sure, names, folder / "mistakes.png")
    counts = confusion(truth, guess, len(names))
    pictures.confusion_picture(counts, names, folder / "confusion.png")
    if run.progress.history:
        pictures.curves(run.progress.history, folder / "curves.png")
    say(f"pictures are in {printable(folder)}")


def _own_picture(path: Path, image: Array, P: Array, names: Sequence[str]) -> None:
    """What a network sees, image (C, H, W), and what it takes it for, P (K,)."""
    from datasets.read.digit import bars, show

    say(f"\n{printable(path)}: the network sees")
    say(show(image.mean(axis=0)))
    say(bars(P, names))
    say(f"{printable(path)}: {names[int(P.argmax())]} ({P.max():.1%})")


def _prepared(path: Path, shape: tuple[int, int, int], folder: bool) -> Array:
    """The picture (C, H, W): a digit as MNIST shows it; resized if a folder's were learnt."""
    from datasets.read.digit import as_mnist
    from datasets.read.picture import decode

    if shape == (1, 28, 28) and not folder:
        return as_mnist(path)[None]
    return decode(path, shape[0], shape[1:]).astype(np.float32) / 255
