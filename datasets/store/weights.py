"""Weights in an HDF5 file, the same for all three implementations; checkpoints are such files, too.

layer_1/W    (in, out), as in Keras' Dense; a convolution's is (F, C, KH, KW)
layer_1/b    (out,)
layer_2/...  only layers that have parameters are counted
about        as JSON what the network was trained on, see About; older files have none
run/...      in a checkpoint: velocity, and as JSON the state of the run
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datasets.checks import is_floats, kind
from datasets.schedules import short
from datasets.store.files import printable
from datasets.store.hdf5 import File, write_h5

__all__ = [
    "Weights", "About", "save_weights", "load_weights", "load_net", "load_checkpoint",
    "match_weights",
]  # fmt: skip

Array = npt.NDArray[np.floating]
LAYER = r"layer_\d{1,4}"
Weights = dict[str, Array]  # {"layer_1/W": array, ...}, in the order of the layers
NAMES_MAX, NAME_MAX, SIDE_MAX = 10_000, 255, 30_000  # classes, characters of a name, pixels
PREPARED = ("digit", "fitted", "as stored")


class About(NamedTuple):
    """What a network was trained on: all that it takes to use it on a picture."""

    class_names: tuple[str, ...]  # K
    image_shape: tuple[int, int, int]  # (C, H, W), C = 1 (grey) or 3 (RGB)
    prepared: str  # "digit": as datasets.read.digit does; "fitted": as datasets.read.picture does


def save_weights(
    path: str | Path,
    weights: Weights,
    velocity: Weights | None = None,
    state: dict[str, Any] | None = None,
    about: About | None = None,
) -> None:
    """Write weights, and for a checkpoint velocity and state, to path: whole or not at all.

    Raises OSError, and ValueError or TypeError for what could not be loaded again.
    """
    _check_arrays("save_weights", weights)
    if velocity:
        _check_arrays("save_weights", velocity)
    texts = {
        "run/state": state,
        "about": None if about is None else _about(about._asdict()),
    }
    with write_h5(path) as file:
        for key, array in weights.items():
            file[key] = array
        for key, array in (velocity or {}).items():
            file[f"run/velocity/{key}"] = array
        for key, value in texts.items():
            if value is not None:
                file[key] = np.frombuffer(json.dumps(value).encode(), np.uint8)


def load_weights(path: str | Path) -> Weights:
    """The weights of a file that save_weights wrote, {"layer_1/W": array, ...}.

    Raises FileNotFoundError, or ValueError when the file is damaged or holds no weights.
    """
    return _layers(File(path, ["layer_*/*"]), "")


def load_net(path: str | Path) -> tuple[Weights, About | None]:
    """Weights, and what the network was trained on if the file says so. Raises as load_weights."""
    file = File(path, ["layer_*/*", "about"])
    return _layers(file, ""), _about_of(file)


def load_checkpoint(path: str | Path) -> tuple[Weights, Weights, dict[str, Any], About | None]:
    """Weights, velocity, state and about of a checkpoint. Raises ValueError for what is none.

    Whoever uses the state checks its values: all that is known is that it holds options.
    """
    file = File(path, ["layer_*/*", "about", "run", "run/velocity/layer_*/*", "run/state"])
    if "run" not in file.arrays:
        raise ValueError(f"{file.name}: expected a checkpoint, found weights only: use --load")
    state = _text(file, "run/state", _state)
    return _layers(file, ""), _layers(file, "run/velocity/"), state, _about_of(file)


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


def _about_of(file: File) -> About | None:
    return About(**_text(file, "about", _about)) if "about" in file.arrays else None


def _layers(file: File, prefix: str) -> Weights:
    keys = {key.removeprefix(prefix): key for key in file.arrays if key.startswith(prefix)}
    names = [name for name in keys if re.fullmatch(rf"{LAYER}(/[^/]+)?", name)]
    if prefix and not names:
        file[prefix.rstrip("/")]  # raises: it is not there, or it is no group
    weights = {name: file[keys[name]].read() for name in sorted(names, key=_layer_order)}
    _check_arrays(file.name, weights)
    return weights


def _text(file: File, key: str, schema: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The JSON behind a key, if it is what schema lets pass."""
    text = file[key].read().astype(np.uint8).tobytes()
    try:
        return schema(json.loads(text))
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"{file.name}: {key} is expected to be JSON, it is damaged") from None
    except ValueError as error:
        raise ValueError(f"{file.name}: {key} is damaged ({error})") from None


def _state(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not isinstance(value.get("options"), dict):
        raise ValueError("it is expected to hold the options of a run")
    return value


def _about(value: Any) -> dict[str, Any]:
    """value with the keys of About and nothing else; ValueError if it has another form."""
    if not isinstance(value, dict) or not {*About._fields} <= {*value}:
        raise ValueError(f"expected {', '.join(About._fields)}, got {short(value)}")
    names, shape, prepared = (value[name] for name in About._fields)
    if not (
        isinstance(names, list | tuple)
        and 0 < len(names) <= NAMES_MAX
        and all(isinstance(name, str) and 0 < len(name) <= NAME_MAX for name in names)
    ):
        raise ValueError(f"class_names is expected to hold 1 to {NAMES_MAX} names")
    if not (
        isinstance(shape, list | tuple)
        and len(shape) == 3
        and all(type(n) is int and 1 <= n <= SIDE_MAX for n in shape)
        and shape[0] in (1, 3)
    ):
        raise ValueError(f"image_shape is expected to be (C, H, W), got {short(shape)}")
    if prepared not in PREPARED:
        raise ValueError(f"prepared is expected to be one of {PREPARED}, got {short(prepared)}")
    return About(tuple(map(printable, names)), tuple(shape), prepared)._asdict()


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
