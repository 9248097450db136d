"""A learner's file: import it, find what is named in it, build it, make its inputs."""

import ast
import contextlib
import importlib
import importlib.util
import io
import random
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.case import Constant, distinct_values
from gradcheck.core import CannotCheck
from gradcheck.rules import where

__all__ = ["load", "construct", "make_input", "quiet", "guarded", "seeded", "undisturbed"]

OURS = ("datasets", "net", "functional_net", "cnn")
DECORATION = {"matplotlib", "tqdm", "seaborn", "pandas", "IPython", "wandb", "PIL", "tensorboardX"}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Their prints and warnings stay out of our table; nan is looked for, not warned of."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            yield


@contextlib.contextmanager
def guarded(doing: str) -> Iterator[None]:
    """Whatever their code raises becomes one line that names their line."""
    try:
        with quiet():
            yield
    except CannotCheck:
        raise
    except (Exception, SystemExit) as error:
        said = str(error).strip().splitlines() or [""]
        raise CannotCheck(
            f"{doing} raised {type(error).__name__}: {said[0]} ({where(error)})"
        ) from error


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """The global random generators go on afterwards as if nothing had been."""
    theirs, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(theirs)  # noqa: NPY002
        random.setstate(pythons)


def seeded() -> None:
    """The same chance before every forward pass: global generators start from 0 again."""
    np.random.seed(0)  # noqa: NPY002  (it is theirs)
    random.seed(0)


FUNCTION = (types.FunctionType, types.BuiltinFunctionType, np.ufunc)


def generators(module: types.ModuleType) -> tuple[np.random.Generator, ...]:
    """The random generators that live in a module: put back before every forward pass."""
    return tuple(v for v in vars(module).values() if isinstance(v, np.random.Generator))


def load(spec: str, float64: bool = False) -> tuple[types.ModuleType, list[Any], list[str]]:
    """file.py:Name or file.py:forward,backward -> the module, the objects, their names."""
    path, colon, names = spec.rpartition(":")
    if not colon or not names or names.endswith(".py"):
        raise CannotCheck(
            f"expected functional, net, cnn or FILE.py:NAME, got {spec!r}: which class or function?"
        )
    module = _import_file(Path(path), float64) if path.endswith(".py") else _import_name(path)
    found = []
    for name in names.split(","):
        thing: Any = module
        for part in name.strip().split("."):
            if not hasattr(thing, part):
                raise CannotCheck(f"{path} has no {name!r}; it has {_contents(module)}")
            thing = getattr(thing, part)
        found.append(thing)
    return module, found, [name.strip() for name in names.split(",")]


def _contents(module: types.ModuleType) -> str:
    own = [
        name
        for name, v in vars(module).items()
        if getattr(v, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    return ", ".join(own) or "no class or function of its own"


def _import_name(name: str) -> types.ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    with guarded(f"importing {name}"):
        return importlib.import_module(name)


def _import_file(path: Path, float64: bool = False) -> types.ModuleType:
    """Beside its own neighbours, as if run from its folder; inside its package if it needs one."""
    if not path.is_file():
        raise CannotCheck(f"no file {path}")
    path = path.resolve()
    for name in [n for n in sys.modules if n.split(".")[0] in OURS]:  # theirs come first
        if any((path.parent / f"{name.split('.')[0]}{end}").exists() for end in ("", ".py")):
            del sys.modules[name]
    sys.path.insert(0, str(path.parent))
    sys.path.extend(str(folder) for folder in list(path.parents)[1:4])
    packaged = bool(re.search(r"^\s*from\s+\.", path.read_text("utf-8", "replace"), re.MULTILINE))
    with guarded(f"importing {path.name}"), _without_decoration():
        if packaged:
            up = len(
                max(
                    re.findall(r"^\s*from\s+(\.+)", path.read_text("utf-8", "replace"), re.M),
                    key=len,
                )
            )
            depth = up
            while (path.parents[depth - 1] / "__init__.py").is_file():
                depth += 1
            root = path.parents[depth - 1] if depth > up else path.parents[up]
            sys.path.insert(0, str(root))
            return importlib.import_module(".".join(path.with_suffix("").relative_to(root).parts))
        name = path.stem if path.stem not in sys.modules else f"_checked_{path.stem}"
        found = importlib.util.spec_from_file_location(name, path)
        assert found and found.loader
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        if float64:
            exec(compile(_wider(path.read_text("utf-8")), str(path), "exec"), module.__dict__)
        else:
            found.loader.exec_module(module)
        return module


def _wider(source: str) -> str:
    """The same program in float64."""
    source = re.sub(r"\bfloat(16|32)\b", "float64", source)
    return re.sub(r"(dtype\s*=\s*|astype\(\s*)(['\"])f4?\2", r"\1'd'", source)


@contextlib.contextmanager
def _without_decoration() -> Iterator[None]:
    """Plots and progress bars that are not installed are no reason to give up."""
    from unittest.mock import MagicMock

    for name in DECORATION:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            stand_in = MagicMock(name=name)
            stand_in.__spec__ = None
            stand_in.__path__ = []
            sys.modules[name] = stand_in
            for sub in ("pyplot", "animation", "auto", "notebook", "display"):
                sys.modules[f"{name}.{sub}"] = getattr(stand_in, sub)
    yield


def construct(module: types.ModuleType, thing: Any, name: str, args: str | None) -> Any:
    """An object of a class, its arguments written as in a call and read in their file."""
    if not isinstance(thing, type):
        return thing
    scope = {"np": np, "numpy": np, "rng": np.random.default_rng(0), **vars(module)}
    try:
        call = ast.parse(f"_made_({args or ''})", mode="eval")
    except SyntaxError:
        raise CannotCheck(
            f"--args {args!r} is not a list of arguments, as in --args '3, 4, bias=True'"
        ) from None
    import inspect

    try:
        signature = str(inspect.signature(thing))
    except (TypeError, ValueError):
        signature = "(...)"
    seeded()
    try:
        with guarded(f"{name}({args or ''})"):
            return eval(compile(call, "--args", "eval"), {**scope, "_made_": thing})
    except CannotCheck as error:
        if isinstance(error.__cause__, TypeError) and args is None:
            raise CannotCheck(
                f"{name}{signature} needs arguments: say them as in a call, --args '3, 4'"
            ) from None
        raise


def make_input(text: str, rng: np.random.Generator, scale: float) -> Any:
    """What one --input says: a shape of real numbers, of whole numbers, or a value as it is.

    5,3  real numbers        5,3:int7  whole numbers 0 to 6        5,3:positive  real, in (0, 1)
    {'stride': 1}  or anything else that is no shape: that value; strings in it may be shapes
    """
    shape, _, kind = text.strip().strip("()").partition(":")
    if re.fullmatch(r"\s*\d*(\s*,\s*\d+)*\s*,?\s*", shape):
        sizes = tuple(int(word) for word in shape.split(",") if word.strip())
        if kind == "" and 0 not in sizes:
            return distinct_values(sizes, rng, scale)
        if kind == "const":
            return distinct_values(sizes, rng, scale).view(Constant)
        if kind == "positive":
            return (distinct_values(sizes, rng) + 1.1) / 2.2
        if re.fullmatch(r"int[1-9]\d*", kind):
            return rng.integers(int(kind[3:]), size=sizes)
        raise CannotCheck(f"--input {text!r}: expected a shape as 5,3 or 5,3:int7 or 5,3:positive")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise CannotCheck(
            f"--input {text!r} is neither a shape (5,3) nor a value ({{'stride': 1}})"
        ) from None
    if isinstance(value, dict):
        return {
            k: make_input(v, rng, 0.7) if isinstance(v, str) and re.fullmatch(r"[\d, ]+", v) else v
            for k, v in value.items()
        }
    return value
