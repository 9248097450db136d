"""A trained network for PyTorch: a script that rebuilds and checks it, and an .npz of its arrays.

Neither is written with PyTorch, and nothing is pickled.
"""

from pathlib import Path

import numpy as np

from datasets.export.network import Array, Step, scores
from datasets.store.files import atomic

__all__ = ["write_torch"]

SCRIPT = '''"""A network in PyTorch: load() gives it; run as a script, it is tested."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

ARRAYS = Path(__file__).with_suffix(".npz")


def build() -> nn.Sequential:
    """The layers, with random weights; inputs {inputs}."""
    return nn.Sequential(
{layers}    )


def load() -> nn.Sequential:
    """The trained network, for inference."""
    with np.load(ARRAYS) as arrays:
        state = {{key: torch.from_numpy(arrays[key]) for key in arrays if key[0].isdigit()}}
    net = build()
    net.load_state_dict(state)
    return net.eval()


if __name__ == "__main__":
    with np.load(ARRAYS) as arrays, torch.no_grad():
        out = load()(torch.from_numpy(arrays["X"])).numpy()
        error = np.abs(out - arrays["scores"]).max() / max(1.0, np.abs(arrays["scores"]).max())
    assert error < 1e-5, f"the scores differ by {{error:.1e}} of the largest"
    print(f"PyTorch gives the same scores: largest difference {{error:.1e}} of the largest score")
'''
MODULES = {"max pool": "nn.MaxPool2d(2)", "relu": "nn.ReLU()", "flatten": "nn.Flatten()"}


def write_torch(found: list[Step], shape: tuple[int, ...], path: str | Path) -> Path:
    """Write path, a script, and beside it the arrays, whose path is returned.

    Raises FileExistsError if there is such a script: it may be somebody's work.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path}: expected the name of a new script, this one is there")
    arrays = {f"{i}.{key}": array for i, step in enumerate(found) for key, array in _state(step)}
    X = np.random.default_rng(0).random((4, *shape), np.float32)
    inputs = "(N, C, H, W)" if len(shape) == 3 else "(N, D)"
    layers = "".join(f"        {_module(step)},\n" for step in found)
    with atomic(path.with_suffix(".npz")) as name, open(name, "wb") as file:
        np.savez(file, X=X, scores=scores(found, X), **arrays)  # type: ignore[arg-type]
    with atomic(path) as name:
        Path(name).write_text(SCRIPT.format(inputs=inputs, layers=layers), encoding="utf-8")
    return path.with_suffix(".npz")


def _module(step: Step) -> str:
    if step.kind in MODULES:
        return MODULES[step.kind]
    into, out = step.sizes
    if step.kind == "batch norm":
        return f"nn.BatchNorm2d({into})"
    if step.kind == "linear":
        return f"nn.Linear({into}, {out})"
    return f'nn.Conv2d({into}, {out}, {step.arrays["W"].shape[2:]}, padding="same")'


def _state(step: Step) -> list[tuple[str, Array]]:
    # As PyTorch names the arrays of a module.
    if step.kind == "batch norm":
        names = {"weight": "gamma", "bias": "beta"} | {
            name: name for name in ("running_mean", "running_var")
        }
        arrays = [(theirs, step.arrays[ours]) for theirs, ours in names.items()]
        return [*arrays, ("num_batches_tracked", np.zeros((), np.int64))]
    if not step.arrays:
        return []
    W = step.arrays["W"]
    return [("weight", W if W.ndim == 4 else W.T.copy()), ("bias", step.arrays["b"])]
