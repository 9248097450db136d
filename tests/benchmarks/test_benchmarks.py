"""The benchmarks: everybody does the same work before a time counts; nothing here is timed."""

import importlib
import json
import re
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import net
from benchmarks import accuracy, bench, digits, gains, neighbour, scaling, timing, workloads
from benchmarks import many as machines
from benchmarks.floor import gemms
from benchmarks.peers import PEERS
from benchmarks.workloads import OURS, Workload, convnet, mlp
from datasets import one_hot
from datasets.run import console

typer = pytest.importorskip("typer")


def small(layers, X, batch=4, kind="epoch") -> Workload:
    """Ten samples of a workload's kind."""
    y = one_hot(np.arange(len(X)) % 3, 3)
    return Workload("W0", "small", layers, X.astype(np.float32), y, batch, kind)


@pytest.fixture
def few_digits(monkeypatch):
    """Noise in the place of MNIST."""
    X = np.random.default_rng(0).random((1000, 1, 28, 28), np.float32)
    data = (X, one_hot(np.arange(1000) % 10, 10)) * 2
    monkeypatch.setattr(workloads, "digits", lambda: data)


@pytest.fixture
def rows() -> Workload:
    return small(mlp(6, 5, 3), np.random.default_rng(1).random((10, 6)))


@pytest.fixture
def pictures() -> Workload:
    return small(convnet(1, 2, 3, 4, 3), np.random.default_rng(1).random((10, 1, 8, 8)))


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Run a command's main as from the shell; bench.py's workers in this process."""

    def here(words, env):
        file = tmp_path / "times.json"
        result = run(bench.main, *words[2:], "--worker", str(file))
        if result.exit_code:
            raise SystemExit(result.exit_code)
        print(result.output)
        return json.loads(file.read_text())

    def run(main, *words):
        app = typer.Typer(add_completion=False)
        app.command()(main)
        return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)

    monkeypatch.setattr(timing, "found_by", here)
    return run


# --- the same work ----------------------------------------------------------------


def test_ours_and_the_bare_one_have_the_same_first_losses_and_hits(rows):
    weights = rows.weights()
    found = [bench.first(kind(rows, weights)) for kind in (*OURS.values(), gains.Bare)]
    assert len(found[0][0]) == 3
    for losses, hits in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-5)
        assert hits == found[0][1]


@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1")  # the last batch is small
@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("kind", ["rows", "pictures", "inference"])
def test_every_peer_that_is_here_does_the_same_work(name, kind, rows, pictures):
    pytest.importorskip(PEERS[name].module)
    if name == "PyTorch compiled":
        pytest.skip("compiles for half a minute")
    work = rows if kind == "rows" else pictures
    if kind == "inference":
        X = np.random.default_rng(1).random((250, 1, 8, 8))
        work = small(convnet(1, 2, 3, 4, 3), X, 250, "inference")
    if not bench.fits(name, PEERS[name], work):
        pytest.skip("no such layers")
    ours = OURS["net.py" if kind == "rows" else "cnn"]
    bench.agree({kind.__name__: kind(work, work.weights()) for kind in (ours, PEERS[name])})


@pytest.mark.parametrize("measure", [*gains.TAKEN, *gains.LEFT_OUT], ids=lambda m: m.title)
def test_other_forms_compute_the_same_as_ours(measure, rows, pictures):
    for names, work in ((gains.MLP, rows), (gains.CNN, pictures)):
        if names in measure.works:
            gains.times_of(work, measure, steps=3, rounds=1)


def test_other_work_ends_the_run(rows):
    class Cheat(OURS["net.py"]):
        def step(self, X, y):
            loss, hits = super().step(X, y)
            return loss * 1.01, hits

    class Miscounts(OURS["net.py"]):
        def step(self, X, y):
            loss, hits = super().step(X, y)
            return loss, hits + 1

    weights = rows.weights()
    for kind in (Cheat, Miscounts):
        both = {"net.py": OURS["net.py"](rows, weights), "cheat": kind(rows, weights)}
        with pytest.raises(ValueError, match=r"^W0: cheat does other work than net.py: losses \["):
            bench.agree(both)


def test_a_form_that_does_other_work_is_refused(rows):
    class Lazy(gains.Flat):
        def update(self, lr, momentum):
            pass

    for other in Lazy, {net.FeedForwardNet: {"update": Lazy.update}}:
        with pytest.raises(ValueError, match=r"^W0: lazy: losses \["):
            gains.times_of(rows, gains.Measure("lazy", "W1", other), steps=3, rounds=1)


@pytest.mark.parametrize(
    ("name", "weights", "linear"),
    [
        ("W1", 79_510, [(784, 100), (100, 10)]),
        ("W2", 84_060, [(784, 100), (100, 50), (50, 10)]),
        ("W3", 84_060, [(784, 100), (100, 50), (50, 10)]),
        ("W4", 4_314, [(392, 10)]),
        ("W5", 33_948, [(2704, 12)]),
        ("W6", 4_314, [(392, 10)]),
        ("W7", 1_625_866, [(12544, 128), (128, 10)]),
    ],
)
def test_workloads_are_those_of_the_issue(name, weights, linear, few_digits):
    work = workloads.workload(name, 300)
    assert sum(W.size for W in work.weights().values()) == weights
    assert [layer[1:] for layer in work.layers if layer[0] == "linear"] == linear
    assert len(work.X) == len(work.y) == 300


def test_an_unknown_workload_is_named():
    with pytest.raises(ValueError, match=r"^expected a workload of W1, .*, W7, got W9$"):
        workloads.workload("W9")


def test_the_floor_is_the_products_of_a_step(rows, pictures):
    shapes = [(A.shape, B.shape) for A, B, _ in gemms(rows)]
    assert shapes == [
        ((5, 6), (6, 4)), ((5, 4), (4, 6)),
        ((3, 5), (5, 4)), ((3, 4), (4, 5)), ((5, 3), (3, 4)),
    ]  # fmt: skip
    assert [A.shape for A, _, _ in gemms(pictures)][:4] == [(2, 9), (2, 256), (3, 18), (3, 64)]


# --- times and tables ---------------------------------------------------------------


def test_every_round_runs_everybody_in_another_order():
    ran: list[str] = []
    tasks = {name: lambda name=name: ran.append(name) for name in "abc"}
    times = timing.interleaved(tasks, 20)
    assert [len(own) for own in times.values()] == [20] * 3
    orders = ["".join(ran[i : i + 3]) for i in range(0, len(ran), 3)]
    assert len(orders) == 21 and {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) > 3


def test_ratio_is_the_median_over_rounds_and_the_interval_holds_it():
    slow, fast = [2.0, 4.0, 100.0], [1.0, 1.0, 1.0]
    assert timing.ratio(slow, fast) == 4
    low, high = timing.interval(slow, fast)
    assert 2 <= low <= 4 <= high <= 100 and low < high


def test_the_interval_covers_the_true_ratio_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(40):
        low, high = timing.interval(list(2 * rng.lognormal(0, 0.1, 15)), [1.0] * 15)
        covered += low <= 2 <= high
    assert 34 <= covered <= 40


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
    assert gains.lines((gains.Flat.update,)) == 4
    assert gains.lines((gains.second_forward,)) == 3


def test_the_readme_table_is_narrow_and_names_the_best_peer():
    times = {
        "net.py": [1.0, 1.0], "PyTorch": [3.0, 3.0], "JAX scan": [0.5, 0.5],
        bench.AGAIN: [1.1, 1.0], bench.FLOOR: [0.25, 0.25],
    }  # fmt: skip
    head, _, line = bench.summary({"W2": times}).splitlines()
    assert head.count("|") == 7 and len(line) < 120
    assert "| 3.00 (3.00-3.00) | JAX scan 0.50 (0.50-0.50) | 0.25 | 1.00-1.10 |" in line


# --- the model of many machines -------------------------------------------------------


def test_the_model_finds_the_costs_that_made_the_times():
    true = machines.Model(1e-3, 2e-5, 1e-5, 1e-9, 400_000)
    steps = {batch: true.step(batch, 1) for batch in machines.BATCHES}
    found = machines.fitted(steps, 2 * true.latency, 2 * true.latency + 400_000e-9, true.size)
    np.testing.assert_allclose(found, true, rtol=1e-6)
    table, error = machines.check(found, steps, {b: true.step(b, 2) for b in steps})
    assert error < 1e-6 and table.count("0%") == len(steps)
    _, error = machines.check(found, steps, {b: 2 * true.step(b, 2) for b in steps})
    assert error == pytest.approx(0.5)


def test_more_machines_help_until_messages_cost_more_than_samples():
    here = machines.Model(0, 1e-5, 0, 0, 1000)
    assert here.best(1024) == 1024 and here.step(1024, 1024) == pytest.approx(1e-5)
    slow = here.over(1e-3, 1e9)
    assert slow.best(1024) < 64 and slow.step(1024, 4096) > slow.step(1024, slow.best(1024))
    text = machines.forecast(slow, 1024)
    assert text.splitlines()[2].startswith("| 1 | 1.0 |") and "| 10,000 |" in text


# --- the commands ---------------------------------------------------------------------


def test_quick_run_without_peers_times_ours_the_floor_and_the_noise(
    call, few_digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(timing, "RESULTS", tmp_path / "r.md")
    words = ["--quick", "--rounds", 2, "--peer", "none", "--workload", "W1", "--workload", "W4"]
    result = call(bench.main, *words, "--write")
    assert result.exit_code == 0 and result.output.isascii()
    for text in ("Default threads", "One thread each", bench.AGAIN, bench.FLOOR):
        assert text in result.output
    page = (tmp_path / "r.md").read_text()
    assert "| W4 conv 1-4-8 on 28x28, batch 100 | `cnn` " in page


def test_a_peer_that_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not bench.installed(["PyTorch"])
    assert capsys.readouterr().out.startswith("PyTorch takes no part: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workload", "W9"], "expected one of W1, W2"),
        (["--peer", "numpy"], "got numpy"),
        (["--rounds", "1"], "greater than or equal to 2"),
    ],
)
def test_a_mistake_is_told(call, words, message):
    result = call(bench.main, *words)
    assert result.exit_code == 2
    assert message in " ".join(re.sub("[^ -~]", " ", result.stderr).split())


@pytest.mark.parametrize("path", sorted(timing.ROOT.glob("benchmarks/*.py")), ids=lambda p: p.stem)
def test_every_command_has_help(path, monkeypatch, capsys):
    if "console.run(main)" not in path.read_text(encoding="utf-8"):
        pytest.skip("no command")
    monkeypatch.setattr(sys, "argv", [str(path), "-h"])
    with pytest.raises(SystemExit) as exit:
        console.run(importlib.import_module(f"benchmarks.{path.stem}").main)
    assert not exit.value.code and f"Usage: python {path.name}" in capsys.readouterr().out


def test_the_neighbour_is_busy_and_gone_afterwards():
    with neighbour.neighbour() as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_the_neighbour_tells_what_is_lost(call, few_digits, monkeypatch):
    monkeypatch.setattr(neighbour, "WHO", {"net.py": ("W1", "W2"), "cnn": ("W4",)})
    result = call(neighbour.main, "--quick", "--rounds", 2)
    assert result.output.count("net.py") == 2 and result.output.count("cnn") == 1
    assert "W1, W2, W4 lose at most" in result.output
    assert result.exit_code == (0 if "good" in result.output else 1)


def test_scaling_tells_every_size(call, few_digits):
    result = call(scaling.main, "--quick", "--rounds", 2)
    assert result.exit_code == 0 and result.output.count("matrix products of") == 3


def test_accuracy_reads_what_a_command_prints():
    output = "79,510 parameters\nepoch 1/1 ...\ntest accuracy 95.51% (9551 of 10000) in 1.1 s\n"
    found = accuracy.LINES.search(output)
    assert found and found.groups() == ("79,510", "95.51", "1.1")


def test_digits_of_every_kind_are_found_again():
    X = np.zeros((10, 1, 28, 28), np.float32)
    X[:, :, 8:20, 12:16] = 1
    groups, _ = digits.kinds(X, np.arange(10))
    for drawers in groups.values():
        for draw in list(drawers.values())[:1]:
            images, truth = digits.rendered(draw, 1, 0)
            assert images.shape == (10, 1, 28, 28) and truth.tolist() == list(range(10))
            assert (images.reshape(10, -1).max(axis=1) > 0.5).sum() >= 9
