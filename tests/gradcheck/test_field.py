"""Mistakes that were reported in public, rebuilt in our own words: WRONG, and at the right array.

Each class is the smallest layer with the mistake; `field` says where it was reported, which arrays
are wrong (all others are right), and a word of the cause where it can be named. The reported code
itself is not here.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import check_layer

GITHUB = "https://github.com/"


class Case(NamedTuple):
    what: str
    layer: Callable[[], Any]
    source: str
    wrong: set[str]
    says: str
    inputs: tuple


CASES: list[Case] = []


def field(source: str, wrong: str, *inputs: Any, says: str = "") -> Callable:
    """Register the class: where it was reported, which arrays are wrong, what the cause says."""

    def register(layer: type) -> type:
        shapes = inputs or ((5, 3),)
        names = {wrong} if "," in wrong else set(wrong.split())
        CASES.append(Case(layer.__name__, layer, GITHUB + source, names, says, shapes))
        return layer

    return register


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.source.removeprefix(GITHUB))
def test_a_publicly_reported_mistake_is_found_at_its_array(case: Case) -> None:
    report = check_layer(case.layer(), *case.inputs)
    assert not report
    wrong = [row for row in report.rows if not row.ok]
    names = {row.name for row in wrong}
    assert case.wrong <= names <= case.wrong | {"X, with ties"}
    causes = " | ".join(row.cause or "" for row in wrong)
    assert case.says in causes, causes


def test_thirty_reports() -> None:
    assert len(CASES) >= 30 and len({case.source for case in CASES}) == len(CASES)


def softmax(X: np.ndarray) -> np.ndarray:
    e = np.exp(X - X.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Keep:
    """forward remembers X and Y; f is the layer's function, df its derivative as written."""

    def forward(self, X):
        self.X, self.Y = X, self.f(X)
        return self.Y

    def backward(self, dY):
        return dY * self.df()


class Linear:
    """W and b with right gradients; each mistake below overrides one line."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.W, self.b = rng.normal(size=(3, 4)), rng.normal(size=4)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dY):
        self.dW, self.db = self.X.T @ dY, self.bias(dY)
        return dY @ self.W.T

    def bias(self, dY):
        return dY.sum(axis=0)


# --- activations --------------------------------------------------------------


@field("pjreddie/darknet/pull/96", "X", says="upstream gradient itself")
class SoftmaxPassesTheGradientOn(Keep):
    f = staticmethod(softmax)

    def backward(self, dY):
        return dY.copy()


@field("eriklindernoren/ML-From-Scratch/issues/71", "X", says="diagonal of the Jacobian")
class SoftmaxWithTheDiagonalOnly(Keep):
    f = staticmethod(softmax)

    def df(self):
        return self.Y * (1 - self.Y)


@field("mlpack/mlpack/issues/2360", "X")
class LogSoftmaxAddsTheUpstream(Keep):
    f = staticmethod(lambda X: np.log(softmax(X)))

    def backward(self, dY):
        return np.exp(self.Y) + dY


@field("andersbll/nnet/issues/4", "X")
class TanhInPlaceOfItsDerivative(Keep):
    f = staticmethod(np.tanh)

    def df(self):
        return (np.exp(2 * self.X) - 1) / (np.exp(2 * self.X) + 1)


@field(
    "llSourcell/Make_a_neural_network/pull/2",
    "X",
    says="a formula in terms of the output is given the input",
)
class SigmoidDerivativeOfTheInput(Keep):
    f = staticmethod(sigmoid)

    def df(self):
        return self.X * (1 - self.X)


@field("haifengl/smile/issues/528", "X", says="upstream is ignored")
class ReluForgetsTheUpstream(Keep):
    f = staticmethod(lambda X: np.maximum(X, 0))

    def backward(self, dY):
        return (self.X > 0).astype(float)


@field("SilasMarvin/dnns-from-scratch-in-zig/issues/5", "X", says="above zero")
class LeakyReluForgetsTheUpstreamBelowZero(Keep):
    f = staticmethod(lambda X: np.where(X > 0, X, 0.01 * X))

    def backward(self, dY):
        return np.where(self.X > 0, dY, 0.01)


@field("mlpack/mlpack/pull/1540", "X", says="above zero")
class EluDerivativeOfTheInput(Keep):
    f = staticmethod(lambda X: np.where(X > 0, X, 0.5 * (np.exp(np.minimum(X, 0)) - 1)))

    def df(self):
        return np.where(self.X > 0, 1, self.X + 0.5)


@field("borgwang/tinynn/blob/master/tinynn/core/layer.py", "X", says="above zero")
class EluWhoseComparisonTakesTheSum(Keep):
    f = staticmethod(lambda X: np.maximum(X, 0) + np.minimum(0, np.exp(X) - 1))

    def df(self):
        return self.X > 0.0 + (self.X < 0.0) * np.exp(self.X)


# --- a linear layer -----------------------------------------------------------


@field("kvfrans/notes/issues/5", "b", says="1/batch")
class BiasIsAveraged(Linear):
    def bias(self, dY):
        return dY.mean(axis=0)


@field(
    "rasbt/stat453-deep-learning-ss21/issues/5",
    "b",
    says="summed over axis 0 (the outputs) as well",
)
class BiasIsSummedOverEverything(Linear):
    def bias(self, dY):
        return np.full(4, dY.sum())


@field("jimfleming/differentiation/issues/1", "b", says="not summed over axis 0")
class BiasIsNotSummed(Linear):
    def bias(self, dY):
        return dY


@field(
    "rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization/issues/64",
    "b",
    says="the gradient of W, summed over axis 0",
)
class BiasFromTheSumOfTheWeightsGradient(Linear):
    def bias(self, dY):
        return self.dW.sum(axis=0)

    def backward(self, dY):
        self.dW = self.X.T @ dY
        return super().backward(dY)


@field("bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10", "W b", says="2 times the right one")
class TwiceTheWeightsFourTimesTheBias(Linear):
    def backward(self, dY):
        dX = super().backward(dY)
        self.dW, self.db = self.dW * 2, self.db * 4
        return dX


@field("VikParuchuri/zero_to_gpt/issues/12", "X")
class UpdatesBeforeItPassesTheGradientOn(Linear):
    def backward(self, dY):
        self.dW, self.db = self.X.T @ dY, dY.sum(axis=0)
        moved = self.W - 0.1 * self.dW
        return dY @ moved.T


@field("arthurdouillard/deepcourse/issues/6", "b", says="the local derivative is missing")
class BiasWithoutTheActivationsDerivative(Linear):
    def forward(self, X):
        self.Y = np.tanh(super().forward(X))
        return self.Y

    def backward(self, dY):
        dZ = dY * (1 - self.Y**2)
        self.dW, self.db = self.X.T @ dZ, dY.sum(axis=0)
        return dZ @ self.W.T


@field("louisjc/mnist-neural-network/issues/1", "X W b", says="the local derivative is missing")
class TheSigmoidIsLeftOut(Linear):
    def forward(self, X):
        return sigmoid(super().forward(X))


@field("pytorch/pytorch/issues/3844", "W", np.array([[0, 1, 1], [4, 1, 0]]))
class EmbeddingKeepsTheLastOfEqualIndices:
    def __init__(self):
        self.W = np.random.default_rng(1).normal(size=(5, 2))

    def forward(self, idx):
        self.idx = idx
        return self.W[idx]

    def backward(self, dY):
        self.dW = np.zeros_like(self.W)
        self.dW[self.idx] += dY


# --- normalisation and dropout --------------------------------------------------


class Normalise:
    """(X - mean) / std over the batch, gamma and beta left out."""

    def forward(self, X):
        self.std = np.sqrt(X.var(axis=0) + 1e-5)
        self.Xhat = (X - X.mean(axis=0)) / self.std
        return self.Xhat


@field("BVLC/caffe/pull/1891", "X", (7, 3), says="the mean over axis 0 (the batch)")
class BatchNormWithoutTheMeansTerm(Normalise):
    def backward(self, dY):
        return (dY - self.Xhat * (dY * self.Xhat).mean(axis=0)) / self.std


@field("mlpack/mlpack/issues/1923", "X", (7, 3), says="the mean and the variance over axis 0")
class BatchNormThatOnlyScales(Normalise):
    def backward(self, dY):
        return dY / self.std


@field("chainer/chainer/pull/4190", "X")
class L2NormThatForgetsEpsilon:
    def forward(self, X):
        self.X, self.norm = X, np.sqrt((X * X).sum(axis=1, keepdims=True))
        return X / (self.norm + 0.1)

    def backward(self, dY):
        along = (dY * self.X).sum(axis=1, keepdims=True) * self.X
        return (dY - along / self.norm**2) / (self.norm + 0.1)


class Dropout:
    def __init__(self):
        self.mask = np.random.default_rng(1).random((5, 3)) < 0.6

    def forward(self, X):
        return X * self.mask / 0.6


@field("ddbourgin/numpy-ml/issues/94", "X")
class DropoutWithoutItsMask(Dropout):
    def backward(self, dY):
        return dY / 0.6


@field("NVIDIA/apex/pull/816", "X", says="0.36")
class DropoutScaledByTheRate(Dropout):
    def backward(self, dY):
        return dY * self.mask * 0.6


# --- convolution and pooling ------------------------------------------------------


class Conv:
    """One row at a time: X (N, C, L), W (F, C, 2), no padding."""

    stride = 1

    def __init__(self):
        self.W = np.random.default_rng(1).normal(size=(3, 4, 2))

    def forward(self, X):
        self.X, s = X, self.stride
        windows = np.stack([X[:, :, : X.shape[2] - 1 : s], X[:, :, 1::s]], axis=-1)
        return np.einsum("nclk,fck->nfl", windows, self.W)

    def backward(self, dY):
        s, dX, self.dW = self.stride, np.zeros_like(self.X), np.zeros_like(self.W)
        for i in range(dY.shape[2]):
            self.dW += np.einsum("nf,nck->fck", dY[:, :, i], self.X[:, :, i * s : i * s + 2])
            dX[:, :, i * s : i * s + 2] += np.einsum("nf,fck->nck", dY[:, :, i], self.W)
        return self.change(dX, dY)

    def change(self, dX, dY):
        return dX


@field("NervanaSystems/neon/issues/111", "X", (2, 4, 5))
class ConvIntoTheWrongChannel(Conv):
    def change(self, dX, dY):
        return np.roll(dX, 1, axis=1)


@field("sebgao/cTensor/issues/3", "W", (2, 4, 6), says="0.1 times")
class ConvWeightsAveraged(Conv):
    def change(self, dX, dY):
        self.dW /= dY.shape[0] * dY.shape[2]
        return dX


@field("wuziheng/CNN-Numpy/issues/2", "X", (2, 4, 5), says="if W were flipped")
class ConvWithTheKernelNotFlipped(Conv):
    def change(self, dX, dY):
        wide = np.pad(dY, ((0, 0), (0, 0), (1, 1)))
        windows = np.stack([wide[:, :, :-1], wide[:, :, 1:]], axis=-1)
        return np.einsum("nflk,fck->ncl", windows, self.W)


@field("Kulbear/deep-learning-coursera/pull/34", "X W", (2, 4, 8))
class ConvBackwardWithoutTheStride(Conv):
    stride = 2

    def backward(self, dY):
        self.stride = 1
        dX = super().backward(dY)
        self.stride = 2
        return dX


class MaxPool:
    """Windows of 3 at each place: they overlap."""

    size, stride = 3, 1

    def forward(self, X):
        self.X = X
        return np.stack([self.window(i).max(axis=1) for i in self.places()], axis=1)

    def places(self):
        return range(0, self.X.shape[1] - self.size + 1, self.stride)

    def window(self, i):
        return self.X[:, i : i + self.size]


@field("0809zheng/CS231n-assignment2019/issues/19", "X", (4, 9), says="= for +=")
class MaxPoolOverwritesWhereWindowsOverlap(MaxPool):
    def backward(self, dY):
        dX, rows = np.zeros_like(self.X), np.arange(len(self.X))
        for k, i in enumerate(self.places()):
            dX[rows, i + self.window(i).argmax(axis=1)] = dY[:, k]
        return dX


@field("riccardoandreoni0/CNN-from-scratch/issues/1", "X", (4, 9))
class MaxPoolReturnsAfterTheFirstWindow(MaxPool):
    stride = 3

    def backward(self, dY):
        dX, rows = np.zeros_like(self.X), np.arange(len(self.X))
        for k, i in enumerate(self.places()):
            dX[rows, i + self.window(i).argmax(axis=1)] += dY[:, k]
            break
        return dX


@field(
    "Theano/Theano/issues/5248",
    "X, with ties",
    np.array([[1.0, 1, 0], [2, 0, 2], [3, 1, 2]]),
    says="right without ties",
)
class MaxGivesTheGradientToEveryTie(MaxPool):
    def backward(self, dY):
        return dY * (self.X == self.X.max(axis=1, keepdims=True))


# --- through time -----------------------------------------------------------------


class Recurrent:
    """h = tanh(x U + h W), X (N, T, D), all states returned."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.U, self.W = rng.normal(size=(3, 4)), rng.normal(size=(4, 4))

    def forward(self, X):
        self.X, self.h = X, np.zeros((len(X), X.shape[1] + 1, 4))
        for t in range(X.shape[1]):
            self.h[:, t] = np.tanh(X[:, t] @ self.U + self.h[:, t - 1] @ self.W)
        return self.h[:, :-1].copy()

    def backward(self, dY):
        dX, later = np.zeros_like(self.X), np.zeros_like(dY[:, 0])
        self.dU, self.dW = np.zeros_like(self.U), np.zeros_like(self.W)
        for t in reversed(range(dY.shape[1])):
            dZ = (dY[:, t] + later) * (1 - self.h[:, t] ** 2)
            self.dU += self.X[:, t].T @ dZ
            self.dW += self.h[:, t - 1].T @ dZ
            dX[:, t], later = dZ @ self.U.T, self.before(dZ)
        return dX


@field("qixianbiao/RNN/issues/2", "X U W", (2, 5, 3), says="from later steps")
class NothingFlowsBackThroughTime(Recurrent):
    def before(self, dZ):
        return np.zeros_like(dZ)


@field("vzhou842/rnn-from-scratch/blob/master/rnn.py", "X U W", (2, 5, 3), says="from later steps")
class ThroughTimeWithoutTheTranspose(Recurrent):
    def before(self, dZ):
        return dZ @ self.W


class Gates:
    """One step of a cell: c = f c0 + i g with three gates of X; c0 is constant."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.Wf, self.Wi, self.Wg = (rng.normal(size=(3, 4)) for _ in range(3))
        self.c0 = np.linspace(0.5, 2, 4)

    def forward(self, X):
        self.X = X
        self.f, self.i, self.g = sigmoid(X @ self.Wf), sigmoid(X @ self.Wi), np.tanh(X @ self.Wg)
        return self.f * np.linspace(0.5, 2, 4) + self.i * self.g

    def backward(self, dY):
        f, i, g = self.f, self.i, self.g
        df, di, dg = self.gates(dY, f * (1 - f), i * (1 - i), 1 - g * g)
        self.dWf, self.dWi, self.dWg = self.X.T @ df, self.X.T @ di, self.X.T @ dg
        return df @ self.Wf.T + di @ self.Wi.T + dg @ self.Wg.T


@field("CaptainE/RNN-LSTM-in-numpy/issues/1", "X Wf")
class ForgetGateWithoutItsDerivative(Gates):
    def gates(self, dY, ff, ii, gg):
        return dY * self.c0 * sigmoid(self.f), dY * self.g * ii, dY * self.i * gg


@field("hanbt/learn_dl/issues/53", "Wi", says="the gradient of Wf")
class InputGateTakesTheForgetGatesDelta(Gates):
    def gates(self, dY, ff, ii, gg):
        return dY * self.c0 * ff, dY * self.g * ii, dY * self.i * gg

    def backward(self, dY):
        dX = super().backward(dY)
        self.dWi = self.dWf.copy()
        return dX


@field("javaidnabi31/RNN-from-scratch/issues/2", "X Wf Wi Wg", says="all zero")
class TheCellAddsItselfInPlaceOfTheGradient(Gates):
    def gates(self, dY, ff, ii, gg):
        dc = np.zeros_like(dY)
        dc += dc
        return dc * self.c0 * ff, dc * self.g * ii, dc * self.i * gg


# --- losses -------------------------------------------------------------------


class Loss:
    def forward(self, X, y):
        self.X, self.y = X, y
        self.hot = np.eye(X.shape[1])[y]
        return self.loss()


LABELS = ((5, 3), np.array([0, 2, 1, 2, 0]))


@field("jxgu1016/MNIST_center_loss_pytorch/issues/9", "X", *LABELS, says="batch")
class TheMeanIsNotInTheGradient(Loss):
    def loss(self):
        return ((self.X - self.hot) ** 2).sum() / 2 / len(self.X)

    def backward(self):
        return self.X - self.hot


@field("davisking/dlib/issues/1169", "X", *LABELS, says="0.5")
class TheTwoOfTheSquareIsMissing(Loss):
    def loss(self):
        return ((self.X - self.hot) ** 2).mean()

    def backward(self):
        return (self.X - self.hot) / self.X.size


@field("oysteijo/simd_neuralnet/issues/1", "X", *LABELS, says="3 times")
class OffByTheNumberOfOutputs(Loss):
    def loss(self):
        p = sigmoid(self.X)
        return -(self.hot * np.log(p) + (1 - self.hot) * np.log(1 - p)).mean()

    def backward(self):
        return (sigmoid(self.X) - self.hot) / len(self.X)


class Decayed(Loss):
    """A linear model whose loss contains a penalty on W and b."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.W, self.b = rng.normal(size=(3, 4)), rng.normal(size=4)

    def forward(self, X, y):
        self.X, self.y = X, y
        self.p = softmax(X @ self.W + self.b)
        penalty = 0.1 * (self.W**2).sum() + 0.1 * (self.b**2).sum()
        return -np.log(self.p[np.arange(len(y)), y]).mean() + penalty

    def backward(self):
        dZ = (self.p - np.eye(4)[self.y]) / len(self.y)
        self.dW, self.db = self.X.T @ dZ, dZ.sum(axis=0)
        self.penalty()
        return dZ @ self.W.T


@field("jingtinghuang/CS231n-Spring-2017/issues/3", "W", *LABELS, says="-0.1 W")
class ThePenaltysTwoIsMissing(Decayed):
    def penalty(self):
        self.dW, self.db = self.dW + 0.1 * self.W, self.db + 0.2 * self.b


@field("Burton2000/CS231n-2017/issues/9", "b", *LABELS, says="-0.2 b")
class TheBiasIsPenalisedButNotInTheGradient(Decayed):
    def penalty(self):
        self.dW = self.dW + 0.2 * self.W


def test_every_report_is_named_on_the_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "field_report.md").read_text(encoding="utf-8")
    for case in CASES:
        words = re.sub(r"(?<!^)([A-Z])", lambda found: " " + found[1].lower(), case.what)
        short = case.source.removeprefix(GITHUB)
        line = f"- {words} ({', '.join(sorted(case.wrong))}): [{short}]({case.source})\n"
        assert line in page
