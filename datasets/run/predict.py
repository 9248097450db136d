"""What a network says of pictures of one's own: a line each, and a summary of many."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.read.digit import as_mnist, bars, doubts, show
from datasets.read.picture import decode, look
from datasets.run.console import say
from datasets.store.files import printable, regular_file

__all__ = ["predict_pictures", "own_pictures", "as_digit", "as_picture"]

Array = npt.NDArray[np.floating]
Prepared = tuple[Array, list[str]]  # the image (C, H, W) as the network wants it, and doubts
FEW = 3  # pictures that are shown large without being asked


def own_pictures(first: Path | None, others: Sequence[str]) -> list[Path]:
    """The pictures of --predict a.png b.png: the option takes one, the rest are arguments.

    Raises OSError for a file that is not there, ValueError where none of the files is a picture;
    a damaged one among others is told by predict_pictures.
    """
    if others and first is None:
        raise ValueError(f"expected options only, got the argument {others[0]!r}")
    paths = [first, *map(Path, others)] if first else []
    errors = []
    for path in paths:
        try:
            look(regular_file(path))
        except ValueError as error:
            errors.append(error)
    if errors and len(errors) == len(paths):
        raise errors[0]
    return paths


def predict_pictures(
    paths: Sequence[Path],
    probabilities: Callable[[Array], Array],
    names: Sequence[str],
    prepare: Callable[[Path], Prepared],
    large: bool | None = None,
) -> int:
    """Say what probabilities(X) (N, K) of images X (N, C, H, W) takes each picture for.

    prepare is as_digit or as_picture. large shows what the network sees and all classes: if
    None, for up to 3 pictures. What cannot be read is told and passed over; ValueError if that
    is every picture. Returns how many could not be read.
    """
    large = len(paths) <= FEW if large is None else large
    found, doubtful = [], 0
    for path in paths:
        try:
            image, against = prepare(path)
        except (OSError, ValueError) as error:
            say(f"not read: {printable(str(error))}")
            continue
        P, name = probabilities(image[None])[0], printable(path)  # (K,)
        if large:
            say(f"\n{name}: the network sees\n{show(image.mean(axis=0))}\n{bars(P, names)}")
        note = f"; probably not one digit: {', '.join(against)}" if against else ""
        found.append(names[int(P.argmax())])
        say(f"{name}: {found[-1]} ({P.max():.1%}){note}")
        doubtful += bool(against)
    _summary(len(paths), found, doubtful)
    return len(paths) - len(found)


def _summary(n: int, found: list[str], doubtful: int) -> None:
    if not found:
        raise ValueError(f"expected pictures to classify, none of {n} could be read")
    if n > 1:
        classes = ", ".join(f"{name} ({times})" for name, times in Counter(found).most_common(20))
        doubt = f", {doubtful} of them probably not one digit" if doubtful else ""
        say(f"{len(found)} of {n} pictures read{doubt}; classes: {classes}")


def as_digit(path: Path) -> Prepared:
    """A photographed or drawn digit as MNIST would show it, and what speaks against one digit."""
    return as_mnist(path)[None], doubts(path)


def as_picture(shape: tuple[int, int, int]) -> Callable[[Path], Prepared]:
    """A prepare that brings pictures to shape (C, H, W), as those of a folder are."""
    C, H, W = shape
    return lambda path: (decode(path, C, (H, W)).astype(np.float32) / 255, [])
