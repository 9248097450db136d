"""Weights in an HDF5 file, the same for all three implementations; checkpoints are such files, too.

layer_1/W    (in, out), as in Keras' Dense; a convolution's is (F, C, KH, KW)
layer_1/b    (out,)
layer_2/...  only layers that have parameters are counted
run/...      in a checkpoint: velocity, and as JSON the options, the generator and the place
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from datasets.checks import is_floats, kind
from datasets.schedules import short
from datasets.store.files import follow_h5, open_h5, read_h5, write_h5

if TYPE_CHECKING:
    import h5py

__all__ = ["Weights", "save_weights", "load_weights", "match_weights", "load_checkpoint"]

Array = npt.NDArray[np.floating]
LAYER = r"layer_\d{1,4}"
Weights = dict[str, Array]  # {"layer_1/W": array, ...}, in the order of the layers


def save_weights(
    path: str | Path,
    weights: Weights,
    velocity: Weights | None = None,
    state: dict[str, Any] | None = None,
) -> None:
    """Write weights, and for a checkpoint velocity and state, to path: whole or not at all.

    Raises OSError, and ValueError or TypeError for weights that load_weights would refuse.
    """
    _check_arrays("save_weights", weights)
    if velocity:
        _check_arrays("save_weights", velocity)
    with write_h5(path) as file:
        for key, array in weights.items():
            file[key] = array
        for key, array in (velocity or {}).items():
            file[f"run/velocity/{key}"] = array
        if state is not None:
            file["run/state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)


def load_weights(path: str | Path) -> Weights:
    """The weights of a file that save_weights wrote, {"layer_1/W": array, ...}.

    Raises FileNotFoundError, or ValueError when the file is damaged or holds no weights.
    """
    with open_h5(path) as file:
        return _layers(file, "")


def load_checkpoint(path: str | Path) -> tuple[Weights, Weights, dict[str, Any]]:
    """Weights, velocity and state of a checkpoint. Raises ValueError for a file that is none."""
    with open_h5(path) as file:
        if "run" not in file:
            raise ValueError(f"{path}: expected a checkpoint, found weights only: use --load")
        text = read_h5(file, "run/state").astype(np.uint8).tobytes()
        weights, velocity = _layers(file, ""), _layers(file, "run/velocity/")
    try:
        state = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{path}: run/state is expected to be JSON, it is damaged") from None
    if not isinstance(state, dict) or not isinstance(state.get("options"), dict):
        raise ValueError(f"{path}: run/state is expected to hold the options of a run")
    return weights, velocity, state


def match_weights(weights: Weights, like: Weights, path: str | Path) -> Weights:
    """The weights in the order and dtype of like; ValueError names the first difference."""
    if not isinstance(weights, dict):
        raise TypeError(f"{path} expects a dictionary of weights, got {kind(weights)}")
    weights = {str(key): np.asarray(array) for key, array in weights.items()}
    for key in sorted({*weights, *like}, key=_layer_order):
        got = f"{key} of shape {weights[key].shape}" if key in weights else f"no {key}"
        if key not in like:
            raise ValueError(f"{path}: this network has no {key}, the file has {got}")
        if key not in weights or weights[key].shape != like[key].shape:
            raise ValueError(
                f"{path}: this network expects {key} of shape {like[key].shape}, the file has {got}"
            )
        if weights[key].dtype.kind not in "fiu":
            raise TypeError(f"{path}: {key} is expected to hold numbers, got {weights[key].dtype}")
    return {key: weights[key].astype(like[key].dtype) for key in like}


def _layers(file: "h5py.File", prefix: str) -> Weights:
    keys = [
        f"{layer}/{name}"
        for layer in _names(file, prefix)
        if re.fullmatch(LAYER, layer)
        for name in _names(file, prefix + layer)
    ]
    weights = {key: read_h5(file, prefix + key) for key in sorted(keys, key=_layer_order)}
    _check_arrays(file.filename, weights)
    return weights


def _names(file: "h5py.File", key: str) -> list[str]:
    """What a group holds; a damaged name comes as bytes."""
    group = follow_h5(file, key.strip("/")) if key else file
    if not hasattr(group, "keys"):
        raise ValueError(f"{file.filename}: {key} is expected to be a group of arrays")
    return list(map(str, group))


def _check_arrays(where: str, weights: Weights) -> None:
    """Raise unless these are weights as they lie in a file: names, finite floats."""
    if not isinstance(weights, dict):
        raise TypeError(f"{where}: expected a dictionary of weights, got {kind(weights)}")
    if not weights:
        raise ValueError(f"{where}: expected weights named layer_1/W, layer_1/b, ..., found none")
    for key, array in weights.items():
        if not re.fullmatch(f"{LAYER}/[^/]+", str(key)):
            raise ValueError(f"{where}: expected a name like layer_1/W, got {short(key)}")
        if not is_floats(array):
            raise ValueError(f"{where}: {key} is expected to hold floats, got {kind(array)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {key} is expected to hold finite floats, got nan or inf")


def _layer_order(key: str) -> tuple[int, str]:
    layer, _, name = key.partition("/")
    number = layer.removeprefix("layer_")
    return int(number) if number.isdecimal() else 0, name
