"""The benchmarks: everybody does the same work before a time counts; nothing here is timed."""

import json
import sys

import numpy as np
import pytest

from benchmarks import bench, gains, scaling, timing, workloads
from benchmarks.floor import Bare, gemms
from benchmarks.workloads import NAMES, OURS, Workload, convnet, mlp
from datasets import one_hot
from datasets.run import console


def small(layers, X, batch=4, kind="epoch") -> Workload:
    """Ten samples of a workload's kind."""
    y = one_hot(np.arange(len(X)) % 3, 3)
    return Workload("W0", "small", layers, X.astype(np.float32), y, batch, kind)


def few_digits():
    """As many as the benchmark needs in a --quick run."""
    X = np.random.default_rng(0).random((600, 1, 28, 28), np.float32)
    return (X, one_hot(np.arange(600) % 10, 10)) * 2


@pytest.fixture
def rows() -> Workload:
    return small(mlp(6, 5, 3), np.random.default_rng(1).random((10, 6)))


@pytest.fixture
def pictures() -> Workload:
    return small(convnet(1, 2, 3, 4, 3), np.random.default_rng(1).random((10, 1, 8, 8)))


@pytest.fixture
def call(capsys, monkeypatch):
    """Run bench.py as from the shell, its workers in this process: (exit code, output, errors)."""

    def here(threads, options):
        file = f"{call.folder}/times.json"
        monkeypatch.setattr(sys, "argv", ["bench.py", *options, "--worker", file])
        with pytest.raises(SystemExit) as exit:
            console.run(bench.app)
        if exit.value.code:
            raise SystemExit(exit.value.code)
        with open(file) as lines:
            return json.load(lines)

    def call(*words):
        monkeypatch.setattr(bench, "in_fresh_process", here)
        monkeypatch.setattr(sys, "argv", ["bench.py", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            console.run(bench.app)
        out, err = capsys.readouterr()
        return exit.value.code, out, err

    return call


# --- the same work ----------------------------------------------------------------


def test_ours_and_the_bare_one_have_the_same_first_losses(rows):
    weights = rows.weights()
    losses = [bench.first_losses(kind(rows, weights)) for kind in (*OURS.values(), Bare)]
    assert len(losses[0]) == 3
    for others in losses[1:]:
        np.testing.assert_allclose(others, losses[0], rtol=1e-5)


@pytest.mark.parametrize("slow", [kind for m in gains.MEASURES for kind in m.slow.values()])
def test_slow_forms_compute_the_same_as_ours(slow, rows, pictures):
    work = rows if slow is gains.Float64 or issubclass(slow, gains.MlpStep) else pictures
    assert gains.gain(work, slow, steps=3, rounds=1) > 0


def test_float64_means_float64(rows, pictures):
    model = gains.Float64(rows, rows.weights()).ours.model
    assert model.W.dtype == model.layers[1].W.dtype == model.dtype == np.float64
    net = gains.Float64(pictures, pictures.weights()).ours.net
    assert all(W.dtype == np.float64 for layer in net.layers for W in layer.params.values())


def test_other_work_ends_the_run(rows):
    class Cheat(OURS["net.py"]):
        def train(self, batches):
            return [loss * 1.01 for loss in super().train(batches)]

    weights = rows.weights()
    both = {"net.py": OURS["net.py"](rows, weights), "cheat": Cheat(rows, weights)}
    with pytest.raises(ValueError, match=r"^W0: cheat does other work than net.py: losses \[.*\]$"):
        bench.agree(both)


def test_a_slow_form_that_does_other_work_is_refused(rows):
    class Lazy(gains.MlpStep):
        def update(self):
            pass

    with pytest.raises(ValueError, match=r"^W0: Lazy has losses \["):
        gains.gain(rows, Lazy, steps=3, rounds=1)


@pytest.mark.parametrize("name", NAMES)
def test_workloads_are_those_of_the_issue(name, monkeypatch):
    monkeypatch.setattr(workloads, "digits", few_digits)
    layers = workloads.workload(name).layers
    weights = sum(W.size for W in workloads.workload(name).weights().values())
    linear = [layer[1:] for layer in layers if layer[0] == "linear"]
    expected = {
        "W1": (79_510, [(784, 100), (100, 10)]),
        "W2": (84_060, [(784, 100), (100, 50), (50, 10)]),
        "W3": (84_060, [(784, 100), (100, 50), (50, 10)]),
        "W4": (4_314, [(392, 10)]),
        "W5": (33_948, [(2704, 12)]),
        "W6": (4_314, [(392, 10)]),
        "W7": (1_625_866, [(12544, 128), (128, 10)]),
    }
    assert (weights, linear) == expected[name]


def test_the_floor_is_the_products_of_a_step(rows, pictures):
    shapes = [(A.shape, B.shape) for A, B, _ in gemms(rows)]
    assert shapes == [
        ((5, 6), (6, 4)), ((5, 4), (4, 6)),
        ((3, 5), (5, 4)), ((3, 4), (4, 5)), ((5, 3), (3, 4)),
    ]  # fmt: skip
    assert [A.shape for A, _, _ in gemms(pictures)][:4] == [(2, 9), (2, 256), (3, 18), (3, 64)]


# --- times and tables ---------------------------------------------------------------


def test_rounds_run_everybody_and_begin_with_another_one():
    ran = []
    tasks = {"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}
    times = timing.interleaved(tasks, 3)
    assert "".join(ran) == "ab" + "ab" + "ba" + "ab"
    assert [len(own) for own in times.values()] == [3, 3]


def test_ratio_is_the_median_over_rounds():
    assert timing.ratio([2, 4, 100], [1, 1, 1]) == 4


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "1.23 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 us")]
)
def test_seconds(value, text):
    assert timing.seconds(value) == text


def test_put_replaces_its_own_part_of_a_file(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("before\n\n<!-- a -->\nold\n<!-- /a -->\n\nafter\n")
    timing.put(path, "a", "new \\1")
    timing.put(path, "b", "more")
    assert path.read_text() == (
        "before\n\n<!-- a -->\nnew \\1\n<!-- /a -->\n\nafter\n\n<!-- b -->\nmore\n<!-- /b -->\n"
    )


def test_environment_forces_nothing(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert "OPENBLAS_CORETYPE" not in timing.environment("1")
    assert "OPENBLAS_NUM_THREADS" not in timing.environment("default")
    assert timing.environment("1")["OPENBLAS_NUM_THREADS"] == "1"


def test_lines_of_code_are_counted_without_docstrings_and_comments():
    assert gains.lines((gains.MlpStep.backward,)) == 2
    assert gains.lines((gains.SecondForward,)) == 4


def test_what_surrounds_an_epoch_is_measured_with_a_bar_that_believes_to_be_seen(monkeypatch):
    work = small(mlp(6, 5, 3), np.random.default_rng(1).random((10, 6)))
    monkeypatch.setattr(scaling, "workload", lambda name: work)
    text = scaling.around(rounds=1, n=10)
    assert text.count("%") == 2 and "`net.py`" in text


# --- the command line -----------------------------------------------------------------


def test_quick_run_without_peers_times_ours_and_the_floor(call, tmp_path, monkeypatch):
    monkeypatch.setattr(workloads, "digits", few_digits)
    call.folder = tmp_path
    words = ["--quick", "--rounds", 1, "--peer", "none", "--workload", "W1", "--workload", "W4"]
    code, out, err = call(*words, "--to", tmp_path / "r.md")
    assert (code or 0, err) == (0, "")
    assert out.isascii()
    for text in ("Default threads", "One thread each", "functional_net.py takes", bench.FLOOR):
        assert text in out
    page = (tmp_path / "r.md").read_text()
    assert "| W4: conv 1-4-8 on 28x28, batch 100, a training step | `cnn` |" in page


def test_a_peer_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found, missing = bench.installed(["PyTorch"])
    assert (found, missing) == ({}, ["PyTorch is not installed (pip install torch)"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--workload", "W9"],
            "--workload is expected to be of W1, W2, W3, W4, W5, W6",
        ),
        (
            ["--peer", "numpy"],
            "--peer is expected to be of PyTorch, PyTorch NHWC, JAX, scikit-learn, got numpy",
        ),
        (["--threads", "2"], "--threads is expected to be of default, 1, both, got 2"),
    ],
)
def test_a_mistake_is_one_line(call, words, message):
    code, out, err = call(*words)
    assert code == 2 and not out
    assert err.count("\n") == 1 and message in err
