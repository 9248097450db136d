"""Arrays in and out of files, and into batches.

Everything the three networks share that is not mathematics: MNIST and other
image sets, one-hot targets, minibatches, toy sets, weight files.
"""

import datasets.start  # isort: skip  # noqa: F401
from datasets.batches import minibatches, one_hot
from datasets.read.mnist import MNIST, load_data, load_images, load_mnist
from datasets.schedules import Schedule, at_epoch
from datasets.store.weights import Weights, load_weights, save_weights
from datasets.toys import blobs, spirals, xor

__all__ = [
    "MNIST", "load_mnist", "load_data", "load_images", "one_hot", "minibatches", "Schedule",
    "at_epoch", "xor", "spirals", "blobs", "Weights", "save_weights", "load_weights",
]  # fmt: skip
