"""README.md: its programs run as printed, its tables are what the commands measured."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import datasets
import net

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SEED = (
    "from net import FeedForwardNet, InputLayer, FullyConnectedLayer, ReLuLayer\n"
    "X_train, y_train, X_test, y_test = load_data()\n"
    "model = FeedForwardNet()\n"
    "model.add(InputLayer(28*28)); model.add(FullyConnectedLayer(100)); model.add(ReLuLayer())\n"
    "model.add(FullyConnectedLayer(50)); model.add(ReLuLayer()); "
    "model.add(FullyConnectedLayer(10))\n"
    "model.train(X_train, y_train, learning_rate, epochs, batch_size=batch_size)\n"
    "test_accuracy = model.test(X_test, y_test)\n"
    "output = model.forward(X_train[:1].T)\n"
)


def test_the_python_blocks_run_as_printed(monkeypatch):
    """On a small part of the data; the namespace goes from block to block."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    assert SEED in blocks
    small = datasets.load_mnist(train_size=4000)
    monkeypatch.setattr(net, "load_data", lambda: small)
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["output"].shape == (10, 1)
    assert names["test_accuracy"] > 0.8
    assert 0 < names["loss"] < 10


def test_generated_parts_are_current():
    from docs import readme

    assert readme.filled(README) == README


@pytest.mark.parametrize(
    "target", re.findall(r"^([a-z]+): ", (ROOT / "Makefile").read_text(), re.M)
)
def test_every_make_target_has_its_plain_form(target):
    if target not in ("help", "clean"):
        assert f"| `{target}` | `python " in README or f"make {target}" in README


def test_links_lead_to_files():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (ROOT / link).exists(), link


def test_the_readme_names_programs_that_exist():
    for script in re.findall(r"^python ((?:-m )?\S+)", README, re.M):
        name = script.removeprefix("-m ").removesuffix(".py")
        assert name in ("venv", "pip") or (ROOT / script).exists() or (ROOT / name).is_dir()


@pytest.mark.parametrize(
    "command",
    [
        *("functional_net.py", "net.py", "-m cnn", "-m gradcheck", "-m datasets export-images"),
        *("benchmarks/accuracy.py", "benchmarks/digits.py"),
    ],
)
def test_the_readme_shows_options_that_exist(command):
    words = [sys.executable, *command.split(), "-h"]
    help_text = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = re.findall(rf"python {command} ([^\n`|#]*)", README)
    shown = {option for line in lines for option in re.findall(r"(?<!\S)--\w+", line)}
    assert shown and shown <= set(re.findall(r"--\w+", help_text))
