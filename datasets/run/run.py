"""A training run as the options ask for it: what it learns, where it begins, what is told of it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from datasets.batches import one_hot
from datasets.read.mnist import MNIST
from datasets.run import report
from datasets.run.checkpoint import Checkpoint
from datasets.run.console import say
from datasets.run.data import Images, load_pictures, no_pictures, short_list, suit
from datasets.run.loop import Loop
from datasets.run.options import Options
from datasets.run.targets import check_targets
from datasets.store.weights import Weights, load_net, match_weights

__all__ = ["Run"]

Array = npt.NDArray[np.floating]


class Run(Loop):
    """What the options ask for around a training loop.

    for _ in run.epochs():
        for X, y in run.batches(X_train, y_train):
            ...one step...
            run.note(loss, right)
        run.end_epoch(weights, velocity, test accuracy)
    """

    def __init__(
        self,
        options: Options,
        given: set[str],
        arguments: list[str],
        checkpoint: Checkpoint | None = None,
    ):
        if options.load and options.resume:
            raise ValueError("expected either --load or --resume, got both")
        options.checkpoint = options.checkpoint or options.resume
        self.given, self.seed, self.resumed = given, options.seed, checkpoint
        self.stored: Weights = checkpoint.weights if checkpoint else {}
        self.about = checkpoint.about if checkpoint else None
        if options.load:
            self.stored, self.about = load_net(options.load)
        self.own_pictures: list[Path] = []
        if options.predict or arguments:
            from datasets.run.predict import own_pictures  # and with it Pillow

            self.own_pictures = own_pictures(options.predict, arguments)
        check_targets(options, [MNIST, options.data, options.dataset, *self.own_pictures])
        self.only_load = only_load(options, given)
        super().__init__(options, options.resume or options.load, 0)

    def images(self) -> Images:
        """Training and validation images (N, C, H, W) of MNIST, of a file or a folder."""
        options = self.options
        # A net that travels needs no images to say what pictures show.
        alone = self.only_load and self.own_pictures and not (options.data or options.dataset)
        if alone and self.about:
            images = no_pictures(self.about)
        else:
            images = load_pictures(options, self.given, self.rng)
        self.names, self.judged_on = images.names, images.judged_on
        self.learnt = images.X_train, images.y_train, len(images.names)
        N, steps = len(images.X_train), suit(options, max(1, len(images.X_train)))
        self.n_epochs = 0 if self.only_load else options.epochs
        self.told = "" if self.only_load else f"; {N:,} images, steps in an epoch: {steps:,}"
        return images

    def data(self) -> tuple[Array, Array, Array, Array]:
        """X_train (N, D), y_train (N, K) one-hot, X_test, y_test of MNIST or of --data."""
        X, y, X_test, y_test, names, _ = self.images()
        self.told = ""  # batches of a fixed size need no word
        D = int(np.prod(X.shape[1:]))
        y_train, y_judge = (one_hot(labels, len(names)) for labels in (y, y_test))
        return X.reshape(len(X), D), y_train, X_test.reshape(len(X_test), D), y_judge

    @property
    def hidden_neurons(self) -> int:
        """Those of --hidden_neurons, unless a weight file brings others."""
        sizes = self.hidden_sizes([self.options.hidden_neurons])
        if len(sizes) != 1:
            raise ValueError(f"{self.path}: this network has 1 hidden layer, the file {len(sizes)}")
        return sizes[0]

    def hidden_sizes(self, wanted: list[int]) -> list[int]:
        """The sizes of the hidden layers: those wanted, unless a weight file brings others."""
        if not self.path:
            return wanted
        for key, array in self.stored.items():
            if array.ndim != {"W": 2, "b": 1}.get(key.split("/")[1]):
                raise ValueError(
                    f"{self.path}: this network expects W (inputs, neurons) and b (neurons,), "
                    f"the file has {key} {array.shape}"
                )
        sizes = [len(b) for key, b in self.stored.items() if key.endswith("/b")][:-1]
        if "hidden_neurons" in self.given and sizes != [self.options.hidden_neurons]:
            asked = f"--hidden_neurons {self.options.hidden_neurons}"
            raise ValueError(f"{asked}: {self.path} has {sizes}")
        return sizes

    def start(self, weights: Weights, velocity: Weights) -> tuple[Weights, Weights]:
        """The weights and velocity to begin with: those given, or those of --load or --resume.

        Raises ValueError for a checkpoint of a run that learnt other images.
        """
        if self.about and [*self.about.class_names] != self.names:
            told, wanted = (short_list(names) for names in (self.about.class_names, self.names))
            raise ValueError(
                f"{self.path}: these weights tell {told} apart, the images are {wanted}"
            )
        if self.resumed:
            self.progress = self.resumed.go_on(self.options, self.given, self.learnt)
            self.rng.bit_generator.state = self.progress.rng
            velocity = match_weights(self.resumed.velocity, velocity, self.resumed.path)
        if self.path:
            weights = match_weights(self.stored, weights, self.path)
        self.progress.rng = self.rng.bit_generator.state  # type: ignore[assignment]
        self.keep(weights)
        say(f"{sum(array.size for array in velocity.values()):,} parameters{self.told}")
        return weights, velocity

    def report(self, probabilities: report.Probabilities, X: Array, y: npt.NDArray) -> None:
        """Save the weights, judge them on X, y and do what --pictures and --predict ask for."""
        report.report(self, probabilities, X, y)


def only_load(options: Options, given: set[str]) -> bool:
    """Does --load alone ask for weights to be judged? ValueError if other options ask to train."""
    if not options.load or "epochs" in given:
        return False
    for name in ("lr", "momentum", "batch_size", "checkpoint", "history"):
        if name in given:
            raise ValueError(f"--{name} is for training: --load trains if --epochs is given")
    return True
