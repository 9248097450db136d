"""What suits the number of images, where no option says it."""

from types import SimpleNamespace

import pytest

from datasets.run.data import EPOCHS, STEPS, suit


@pytest.mark.parametrize("N", [1, 30, 162, 500, 5000, 54_000, 60_000, 100_000])
def test_few_images_are_learnt_in_smaller_batches_and_more_often(N):
    options = SimpleNamespace(batch_size=None, epochs=None)
    steps = suit(options, N)
    assert 10 <= options.batch_size <= 100 and 3 <= options.epochs <= EPOCHS
    assert steps == len(range(0, N, options.batch_size))
    assert steps * options.epochs >= STEPS or options.epochs == EPOCHS
    assert (N >= 2000) == (options.batch_size == 100)


def test_mnist_is_learnt_in_3_epochs_of_600_steps():
    options = SimpleNamespace(batch_size=None, epochs=None)
    assert suit(options, 60_000) == 600
    assert (options.batch_size, options.epochs) == (100, 3)


def test_what_an_option_says_stays():
    options = SimpleNamespace(batch_size=7, epochs=2)
    assert suit(options, 30) == 5 and (options.batch_size, options.epochs) == (7, 2)
