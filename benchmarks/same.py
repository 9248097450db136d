"""One network, three implementations: the same weights, the same batches, the same trajectory."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import functional_net
import net
from cnn import CrossEntropyLoss, Linear, Net, ReLU
from datasets import load_mnist, minibatches
from datasets.run import console

Array = npt.NDArray[np.floating]
Batches = Iterable[tuple[Array, Array]]
Trained = dict[str, tuple[Array, list[float], float]]  # name: (weights, losses, accuracy)

ARRAYS = ("W1", "b1", "W2", "b2")
LR, MOMENTUM = 0.1, 0.1


def functional(start: functional_net.Params, batches: Batches) -> Iterator[tuple[float, list]]:
    """Losses and weights, W (in, out) and b (out,), after each step of functional_net."""
    params, velocity = start, functional_net.zeros(start)
    for params, _, loss, _ in functional_net.train_epoch(params, velocity, batches, LR, MOMENTUM):
        yield loss, list(functional_net.to_weights(params).values())


def objects(start: functional_net.Params, batches: Batches) -> Iterator[tuple[float, list]]:
    """The same of net.FeedForwardNet."""
    D, H, K = *start.W1.shape, start.W2.shape[1]
    model = net.perceptron([D, H, K], dtype=start.W1.dtype)
    model.set_weights([array.T for array in start])
    for loss, _ in model.train_epoch(batches, LR, MOMENTUM):
        yield loss, list(net.to_weights(model.get_weights()).values())


def modules(start: functional_net.Params, batches: Batches) -> Iterator[tuple[float, list]]:
    """The same of cnn.Net."""
    D, H, K = *start.W1.shape, start.W2.shape[1]
    model = Net([Linear(D, H), ReLU(), Linear(H, K)], CrossEntropyLoss)
    first, _, second = model.layers
    for layer, W, b in ((first, start.W1, start.b1), (second, start.W2, start.b2)):
        layer.params = {"W": W.copy(), "b": b.copy()}
    for loss, _ in model.train_epoch(batches, LR, MOMENTUM):
        yield loss, [
            first.params["W"], first.params["b"][0], second.params["W"], second.params["b"][0],
        ]  # fmt: skip


IMPLEMENTATIONS = {"functional_net": functional, "net": objects, "cnn": modules}


def difference(one: npt.ArrayLike, two: npt.ArrayLike) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.max(np.abs(np.subtract(one, two))) / np.max(np.abs(one)))


def trajectories(
    X: Array, y: Array, hidden: int, batch_size: int, seed: int, steps: int | None = None
) -> dict[str, tuple[list[float], list[Array]]]:
    """{implementation: (losses, the last weights)} from the same start on the same batches."""
    start = functional_net.init(
        X.shape[1], hidden, y.shape[1], np.random.default_rng(seed), X.dtype
    )
    found = {}
    for name, train in IMPLEMENTATIONS.items():
        batches = islice(minibatches(X, y, batch_size, np.random.default_rng(seed)), steps)
        losses = []
        for loss, weights in train(start, batches):
            losses.append(loss)
        found[name] = losses, weights
    return found


def accuracy(weights: list[Array], X: Array, y: Array) -> float:
    """The test accuracy of weights W1, b1, W2, b2."""
    return functional_net.accuracy(functional_net.Params(*map(np.atleast_2d, weights)), X, y)


app = typer.Typer(**console.SETTINGS)


@app.command()
def main(
    hidden_neurons: Annotated[
        int, console.number("--hidden_neurons", 1, "Neurons of the hidden layer.")
    ] = 100,
    batch_size: Annotated[
        int, console.number("--batch_size", 1, "Images whose mean loss makes one step.")
    ] = 20,
    steps: Annotated[int, console.number("--steps", 1, "Steps in float64.")] = 200,
    seed: Annotated[int, console.number("--seed", 0, "Of weights and batches.")] = 0,
) -> None:
    """Train one network in all three implementations and compare the weights array by array."""
    data = load_mnist()
    X, y = data[0].astype(np.float64), data[1].astype(np.float64)
    found = trajectories(X, y, hidden_neurons, batch_size, seed, steps)
    losses, weights = found["functional_net"]
    good = True
    console.say(f"float64, {len(losses)} steps: the largest difference from functional_net")
    console.say(f"{'array':8}{'shape':>12}{'net':>12}{'cnn':>12}  verdict")
    for i, name in enumerate(("losses", *ARRAYS)):
        own = losses if i == 0 else weights[i - 1]
        apart = [
            difference(own, found[other][0] if i == 0 else found[other][1][i - 1])
            for other in ("net", "cnn")
        ]
        good &= max(apart) < 1e-10
        verdict = "same" if max(apart) < 1e-10 else "DIFFERENT"
        console.say(f"{name:8}{np.shape(own)!s:>12}{apart[0]:12.1e}{apart[1]:12.1e}  {verdict}")
    found = trajectories(*data[:2], hidden_neurons, batch_size, seed)
    accuracies = [accuracy(weights, *data[2:]) for _, weights in found.values()]
    close = max(accuracies) - min(accuracies) < 0.001
    console.say("float32, one epoch: test accuracy")
    for name, value in zip(found, accuracies, strict=True):
        console.say(f"{name:16}{value:8.2%}")
    console.say(f"within 0.1 points: {'yes' if close else 'NO'}")
    raise SystemExit(0 if good and close else 1)


if __name__ == "__main__":
    console.run(app)
