"""Convolutional networks from scratch: layers that you call, a loss, and a Net around them."""

import datasets.start  # isort: skip  # noqa: F401  (first, so that Ctrl-C ends all imports)
from cnn.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from cnn.layer import Layer
from cnn.layers import AvgPool2D, BatchNorm2D, Conv2D, Dropout, Flatten, Linear, MaxPool2D
from cnn.losses import CrossEntropyLoss, Loss, MeanSquareLoss
from cnn.net import Net

__all__ = [
    "Net",
    "Layer",
    "Linear",
    "Conv2D",
    "MaxPool2D",
    "AvgPool2D",
    "BatchNorm2D",
    "Flatten",
    "Dropout",
    "ReLU",
    "LeakyReLU",
    "Sigmoid",
    "Tanh",
    "Softmax",
    "Loss",
    "CrossEntropyLoss",
    "MeanSquareLoss",
]
