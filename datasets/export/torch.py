"""A trained network for PyTorch: a script that rebuilds and checks it, and an .npz of its arrays.

The script is torch_script.txt, filled in. Neither is written with PyTorch, nothing is pickled.
"""

from pathlib import Path
from string import Template

import numpy as np

from datasets.export.network import Step, scores
from datasets.store.files import atomic

__all__ = ["write_torch"]

NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias"}
MODULES = {"max pool": "nn.MaxPool2d(2)", "relu": "nn.ReLU()", "flatten": "nn.Flatten()"}


def write_torch(found: list[Step], shape: tuple[int, ...], path: str | Path) -> Path:
    """Write path, a script, and beside it the arrays, whose path is returned.

    Raises FileExistsError if there is such a script: it may be somebody's work.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path}: expected the name of a new script, this one is there")
    arrays = {
        f"{i}.{key}": array for i, step in enumerate(found) for key, array in _state(step).items()
    }
    X = np.random.default_rng(0).random((4, *shape), np.float32)
    inputs = "(N, C, H, W)" if len(shape) == 3 else "(N, D)"
    layers = "".join(f"        {_module(step)},\n" for step in found)
    script = Template(Path(__file__).with_name("torch_script.txt").read_text(encoding="utf-8"))
    with atomic(path.with_suffix(".npz")) as name, open(name, "wb") as file:
        np.savez(file, X=X, scores=scores(found, X), **arrays)  # type: ignore[arg-type]
    with atomic(path) as name:
        Path(name).write_text(script.substitute(inputs=inputs, layers=layers), encoding="utf-8")
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


def _state(step: Step) -> dict[str, np.ndarray]:
    # As PyTorch names the arrays of a module.
    if step.kind == "batch norm":
        state: dict[str, np.ndarray] = {NAMES.get(name, name): A for name, A in step.arrays.items()}
        return state | {"num_batches_tracked": np.zeros((), np.int64)}
    return {
        NAMES[name]: A.T.copy() if step.kind == "linear" else A for name, A in step.arrays.items()
    }
