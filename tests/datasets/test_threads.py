"""Training takes one BLAS thread, whatever happens to the loop, and puts back what was before."""

import sys

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

import functional_net as fn
import net
from benchmarks.workloads import modular, workload
from datasets import load_mnist, minibatches
from datasets.threads import limited

X, y = np.zeros((10, 2), np.float32), np.eye(10, dtype=np.float32)
POOLS = ThreadpoolController().select(user_api="blas")


def now() -> int:
    return POOLS.info()[0]["num_threads"]


@pytest.fixture(autouse=True)
def three_threads():
    """As on a machine with three cores."""
    if not POOLS.info():
        pytest.skip("threadpoolctl knows no BLAS here")
    with POOLS.limit(limits=3):
        if now() != 3:
            pytest.skip("this BLAS takes no orders")
        yield
        assert now() == 3


def batches():
    return minibatches(X, y, 4, np.random.default_rng(0))


def test_one_thread_while_batches_are_taken():
    assert [now() for _ in batches()] == [1, 1, 1]
    assert now() == 3


def test_nothing_changes_before_the_first_batch():
    some = batches()
    assert now() == 3
    next(some)
    assert now() == 1


def test_a_loop_that_is_left_gives_the_threads_back():
    for _ in batches():
        break
    assert now() == 3


def test_a_loop_that_fails_gives_the_threads_back():
    with pytest.raises(ZeroDivisionError):
        for _ in batches():
            raise ZeroDivisionError
    assert now() == 3


def test_two_streams_may_end_in_any_order():
    one, two = batches(), batches()
    next(one), next(two)
    one.close()
    assert now() == 1
    two.close()
    assert now() == 3


def test_the_outermost_block_decides():
    with limited(2):
        assert [now() for _ in batches()] == [2, 2, 2]
        assert now() == 2


def trained(X, y) -> list[np.ndarray]:
    """The weights of the three implementations after some steps with batches of 100 and more."""
    params = fn.train(
        fn.init(784, 100, 10, np.random.default_rng(0)), X, y, batch_size=128, epochs=1
    )
    model = net.perceptron([784, 100, 50, 10])
    model.train(X, y, 0.1, 1, 128)
    modules = modular(workload("W4", len(X)), np.random.default_rng(0))
    for images, targets in minibatches(X.reshape(-1, 1, 28, 28), y, 100, np.random.default_rng(0)):
        modules.step(images, targets, 0.1, 0.9)
    return [*params, *model.get_weights(), *modules.get_weights().values()]


def test_the_same_bits_from_one_core_and_from_two():
    found = []
    for threads in (1, 2):
        with POOLS.limit(limits=threads):
            found.append(trained(*load_mnist(train_size=300)[:2]))
    assert all(map(np.array_equal, *found))


@pytest.mark.parametrize(("words", "expected"), [([], 1), (["--threads", "2"], 2)])
def test_the_commands_take_one_thread_or_those_of_the_option(words, expected, monkeypatch):
    seen, step = set(), fn.step

    def spy(*args):
        seen.add(now())
        return step(*args)

    monkeypatch.setattr(fn, "step", spy)
    options = ["--train_size", "40", "--epochs", "1", *words]
    monkeypatch.setattr(sys, "argv", ["functional_net.py", *options])
    with pytest.raises(SystemExit) as end:
        fn.app()
    assert not end.value.code and seen == {expected}
