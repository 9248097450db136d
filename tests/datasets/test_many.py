"""Training on several ranks of MPI: the trajectory of one, whatever their number."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from datasets import load_weights, many
from datasets.run import command

ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec") or shutil.which("mpiexec", path=Path(sys.executable).parent)
needs_mpi = pytest.mark.skipif(
    not (MPIEXEC and importlib.util.find_spec("mpi4py")), reason='pip install ".[mpi]"'
)
ENV = os.environ | {"OPENBLAS_NUM_THREADS": "1"}


def start(ranks, *words, **options):
    line = [str(MPIEXEC), "-n", str(ranks), sys.executable, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        line, cwd=ROOT, env=ENV, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
        **options,
    )  # fmt: skip


def run(ranks, *words):
    """Exit code, output and errors of a command on some ranks."""
    process = start(ranks, *words)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


# --- the mean over ranks --------------------------------------------------------------


class Ranks:
    """An MPI communicator whose other ranks hold what they are told."""

    def __init__(self, rank, size, others=()):
        self.rank, self.size, self.others = rank, size, others

    def Allreduce(self, values, total):
        total[...] = values + sum(self.others, np.zeros_like(values))


@pytest.fixture
def world(monkeypatch):
    return lambda *args: monkeypatch.setattr(many._World, "comm", Ranks(*args))


def test_alone_nothing_is_touched():
    arrays = [np.array([[1.0, 2.0]])]
    assert many.mean(arrays, 5) is arrays and arrays[0].tolist() == [[1, 2]]
    X, y = np.zeros((4, 2)), np.ones(4)
    assert many.share(X, y)[0] is X and many.leads() and many.totals(3, 0.5) == [3, 0.5]


def test_a_mean_over_uneven_shares_counts_samples(world):
    world(0, 2, [np.array([3 * 10.0, 3 * 20.0, 3 * 30.0, 3])])  # the other rank has 3 samples
    W, b = np.array([[2.0], [4.0]]).T, np.array([6.0])
    many.mean((W, b), 1)
    np.testing.assert_allclose(W, [[(2 + 30) / 4, (4 + 60) / 4]])
    np.testing.assert_allclose(b, [(6 + 90) / 4])


def test_the_dtype_stays(world):
    world(0, 2, [np.zeros(3, np.float32)])
    A = np.ones(2, np.float32)
    many.mean([A], 7)
    assert A.dtype == np.float32 and A.tolist() == [1, 1]


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_shares_are_the_batch_and_nobody_goes_without(world, ranks):
    X = np.arange(10)
    shares = []
    for rank in range(ranks):
        world(rank, ranks)
        shares.append(many.share(X, X)[0])
    assert sorted(np.concatenate(shares)) == list(range(10))
    world(1, 12)
    assert many.share(X, X)[0] is X  # fewer samples than ranks: everybody takes all of them


def test_only_rank_0_leads(world):
    world(1, 2)
    assert not many.leads()


# --- real ranks -----------------------------------------------------------------------

# float64 and 200 steps; batches of 7 leave 2 and 5 for the ranks, the last batch holds 3.
TRAJECTORY = """
import sys
import numpy as np
import functional_net as fn
from benchmarks.same import KINDS, weights_of
from benchmarks.workloads import Workload, mlp
from datasets import many, minibatches, one_hot

rng = np.random.default_rng(0)
X, y = rng.normal(size=(703, 6)), one_hot(rng.integers(0, 3, 703), 3, np.float64)
p = fn.init(6, 5, 3, np.random.default_rng(1), np.float64)
start = {"layer_1/W": p.W1, "layer_1/b": p.b1[0], "layer_2/W": p.W2, "layer_2/b": p.b2[0]}
with many.joined():
    found = []
    for kind in KINDS.values():
        who = kind(Workload("", "", mlp(6, 5, 3), X, y, 7, "epoch"), start)
        for _ in range(2):
            for batch in who.batches(100):
                who.step(*many.share(*batch))
        found += weights_of(who)
    flat = np.concatenate([W.ravel() for W in found])
    rank = many._World.comm.rank if many._World.comm else 0
    np.save(f"{sys.argv[1]}_{rank}.npy", flat)
"""


@needs_mpi
def test_200_steps_on_1_2_and_3_ranks_agree_to_1e10(tmp_path):
    found = {}
    for ranks in (1, 2, 3):
        code, _, err = run(ranks, "-c", TRAJECTORY, tmp_path / str(ranks))
        assert code == 0, err
        own = [np.load(tmp_path / f"{ranks}_{rank}.npy") for rank in range(ranks)]
        assert all((weights == own[0]).all() for weights in own)  # the same bits on every rank
        found[ranks] = own[0]
    for ranks in (2, 3):
        apart = np.abs(found[ranks] - found[1]).max() / np.abs(found[1]).max()
        assert 0 < apart < 1e-10


NORM = """
import sys
import numpy as np
import cnn
from datasets import many

rng = np.random.default_rng(0)
X, y = rng.normal(size=(6, 1, 4, 4)), rng.integers(0, 3, 6)
net = cnn.Net([cnn.BatchNorm2D(1), cnn.Flatten(), cnn.Linear(16, 3, np.random.default_rng(1))],
              cnn.CrossEntropyLoss).astype(np.float64)
with many.joined():
    for _ in range(3):
        net.step(*many.share(X, y), 0.1, 0.5)
    rank = many._World.comm.rank if many._World.comm else 0
    np.savez(f"{sys.argv[1]}_{rank}.npz", **net.get_weights())
"""


@needs_mpi
def test_batchnorm_takes_the_statistics_of_each_share_and_the_mean_of_the_running_ones(tmp_path):
    assert run(2, "-c", NORM, tmp_path / "two")[0] == 0
    found = [dict(np.load(tmp_path / f"two_{rank}.npz")) for rank in (0, 1)]
    import cnn

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 1, 4, 4)), rng.integers(0, 3, 6)
    norm, linear = cnn.BatchNorm2D(1), cnn.Linear(16, 3, np.random.default_rng(1))
    nets = [
        cnn.Net([norm, cnn.Flatten(), linear], cnn.CrossEntropyLoss).astype(np.float64)
        for _ in range(2)
    ]
    for _ in range(3):  # two nets, one per share, told to use the mean of what both have
        for rank, net in enumerate(nets):
            net.loss(net(X[rank::2]), y[rank::2])
            net.backward()
        for A, B in zip(nets[0].averaged(), nets[1].averaged(), strict=True):
            A[...] = B[...] = (A + B) / 2
        for net in nets:
            net.update_weights(0.1, 0.5)
    for own in found:
        for name, W in nets[0].get_weights().items():
            np.testing.assert_allclose(own[name], W, rtol=1e-12, atol=1e-14)


SMALL = ("functional_net.py", "--train_size", "403", "--batch_size", "20")


@needs_mpi
def test_a_command_prints_once_and_saves_what_one_process_saves(tmp_path):
    outputs = {}
    for ranks in (1, 3):
        words = (*SMALL, "--epochs", "2", "--save", tmp_path / f"{ranks}.h5")
        code, outputs[ranks], err = run(ranks, *words)
        assert (code, err) == (0, "")
    assert outputs[3].count("epoch 2/2") == outputs[3].count("test accuracy") == 1
    one, three = (load_weights(tmp_path / f"{ranks}.h5") for ranks in (1, 3))
    for name in one:
        np.testing.assert_allclose(three[name], one[name], rtol=1e-3, atol=1e-5)
    assert outputs[1].splitlines()[0] == outputs[3].splitlines()[0] == "79,510 parameters"


@needs_mpi
def test_a_checkpoint_goes_on_with_another_number_of_ranks(tmp_path):
    whole, part = tmp_path / "whole.h5", tmp_path / "part.h5"
    run(1, *SMALL, "--epochs", 2, "--save", whole)
    assert run(3, *SMALL, "--epochs", 1, "--checkpoint", part)[0] == 0
    end = tmp_path / "end.h5"
    code, _, err = run(2, "functional_net.py", "--resume", part, "--epochs", 2, "--save", end)
    assert (code, err) == (0, "")
    expected, found = load_weights(whole), load_weights(end)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-5)


@needs_mpi
def test_divergence_ends_all_ranks_with_one_sentence():
    code, _, err = run(2, *SMALL, "--lr", "1e30")
    assert code == 1
    assert err.count("the loss became") == 1 and "try a tenth" in err


@needs_mpi
def test_a_wrong_option_is_told_once():
    code, out, err = run(3, "functional_net.py", "--lr", "-1")
    assert code == 2 and not out
    assert err.count("expected") == 1


@needs_mpi
@pytest.mark.skipif(os.name == "nt", reason="no process groups")
def test_ctrl_c_ends_all_ranks_and_the_checkpoint_goes_on(tmp_path):
    path = tmp_path / "stopped.h5"
    process = start(2, "net.py", "--train_size", 5000, "--epochs", 50, "--checkpoint", path)
    while not path.exists():  # the first epoch is over
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.count("go on with --resume") == 1, (out, err)
    assert "Traceback" not in err
    assert run(3, "net.py", "--resume", path, "--epochs", 1)[0] in (0, 2)


ONE_DIES = """
import sys
from datasets import many
from datasets.run.console import one_line_errors
import numpy as np
with many.joined(), one_line_errors():
    for step in range(100):
        if step == 3 and many._World.comm.rank == 1:
            raise OSError("the disk of this machine is gone")
        many.totals(1)
"""


@needs_mpi
def test_a_rank_that_fails_ends_the_run_with_a_sentence():
    code, _, err = run(3, "-c", ONE_DIES)
    assert code == 2
    assert err.count("the disk of this machine is gone") == 1 and "rank 1: " in err


def test_mpiexec_without_mpi4py_is_told(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    message = r'mpiexec needs mpi4py: python -m pip install ".\[mpi\]"'
    with pytest.raises(SystemExit, match=message), many.joined():
        pass


def test_without_mpiexec_mpi4py_is_not_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    for name in many.STARTED:
        monkeypatch.delenv(name, raising=False)
    with many.joined():
        assert many.leads()
    assert command
