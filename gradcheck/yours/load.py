"""A learner's file: import it, find what is named in it, build it, make its inputs."""

import __future__

import ast
import contextlib
import importlib
import importlib.machinery
import io
import random
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.console import LIBRARIES, where
from gradcheck.core import CannotCheck

__all__ = ["quiet", "guarded", "undisturbed", "seeded", "remember_generators", "load"]

DEFAULT_RNG = np.random.default_rng
STATES: list[tuple[np.random.Generator, Any]] = []  # of the generators of a learner's modules


# --- around their code --------------------------------------------------------


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Their prints and warnings stay out of our table; nan is looked for, not warned of."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            yield


@contextlib.contextmanager
def guarded(doing: str, advise: Callable[[BaseException], str] | None = None) -> Iterator[None]:
    """Whatever their code raises becomes one line: file, line, source, and what to try next."""
    try:
        yield
    except CannotCheck:
        raise
    except (Exception, SystemExit) as error:
        names, advice = " ".join(_FINDER.missing), advise(error) if advise else ""
        if names:
            advice += f"; pip install {names} beside the checker, if it is needed for this"
        raise CannotCheck(f"{doing} raised {_raised(error)}{advice}") from error


def _raised(error: BaseException) -> str:
    """ValueError: what it says (file.py:17: the line)."""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}{': ' * bool(said)}{said} ({where(error)})"


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """The global random generators go on afterwards as if nothing had been."""
    theirs, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.default_rng = _seeded_rng
    try:
        yield
    finally:
        np.random.default_rng = DEFAULT_RNG
        np.random.set_state(theirs)  # noqa: NPY002
        random.setstate(pythons)


def _seeded_rng(seed: Any = None) -> np.random.Generator:
    """In the place of default_rng: no seed, or one of the clock, is new chance in every call."""
    ours = _seeded_rng.seed  # type: ignore[attr-defined]
    return DEFAULT_RNG(ours if seed is None or isinstance(seed, (int, np.integer)) else seed)


_seeded_rng.seed = 0  # type: ignore[attr-defined]


def seeded(seed: int = 0) -> None:
    """The same chance before every forward pass: all generators start again."""
    np.random.seed(seed)  # noqa: NPY002  (it is theirs)
    random.seed(seed)
    _seeded_rng.seed = seed  # type: ignore[attr-defined]
    for generator, state in STATES:
        fresh = DEFAULT_RNG(seed) if seed else None
        generator.bit_generator.state = fresh.bit_generator.state if fresh else state


def remember_generators(scope: dict[str, Any]) -> None:
    """The random generators of their module: put back before every forward pass."""
    found = [v for v in scope.values() if isinstance(v, np.random.Generator)]
    STATES[:] = [(v, v.bit_generator.state) for v in found]


# --- import -------------------------------------------------------------------


def load(spec: str) -> tuple[list[Any], list[str], list[str]]:
    """FILE.py:Name, FILE.py:forward,backward or FILE.py:forward,OTHER.py:backward.

    The objects, their names, and notes on what was done to import them.
    """
    things, names, path = [], [], ""
    for part in spec.split(","):
        before, colon, name = part.strip().rpartition(":")
        path = before if colon else path
        if not path or not name or name.endswith(".py"):
            raise CannotCheck(
                f"expected functional, net, cnn or FILE.py:NAME, got {spec!r}: "
                "which class or function?"
            )
        things.append(_find(_import(path), name, path))
        names.append(name)
    if len(things) > 2:
        raise CannotCheck(f"expected one class, or FORWARD,BACKWARD; got {len(things)} names")
    notes = []
    if _FINDER.missing:
        notes.append(f"not installed here, stood in for: {', '.join(_FINDER.missing)}")
    if _FINDER.widened:
        files = ", ".join(dict.fromkeys(_FINDER.widened))
        notes.append(f"float32 in {files} is read as float64: differences need it")
    if _FINDER.patched:
        notes.append(f"{', '.join(dict.fromkeys(_FINDER.patched))}: put back to what NumPy has")
    return things, names, notes


def _find(module: types.ModuleType, name: str, path: str) -> Any:
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        mine = [n for n, v in vars(module).items() if not n.startswith("_")
                if getattr(v, "__module__", None) == module.__name__]  # fmt: skip
        have = ", ".join(mine) or "no class or function of its own"
        raise CannotCheck(f"{path} has no {name!r}; it has {have}") from None


def _import(path: str) -> types.ModuleType:
    """Their module; a package that is not installed is stood in for, one after the other."""
    file = Path(path).resolve()
    if path.endswith(".py") and not file.is_file():
        raise CannotCheck(f"no file {path}")
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    before = set(sys.modules)
    while True:
        try:
            with quiet(), _numpy_as_it_is():
                return _import_file(file) if path.endswith(".py") else _named(path)
        except (Exception, SystemExit) as error:
            name = getattr(error, "name", "") if isinstance(error, ModuleNotFoundError) else ""
            if not name or name in _FINDER.missing:
                raise CannotCheck(f"importing {file.name} raised {_raised(error)}") from error
            _FINDER.missing.append(name)
            for new in set(sys.modules) - before:
                del sys.modules[new]


@contextlib.contextmanager
def _numpy_as_it_is() -> Iterator[None]:
    """What a package puts in the place of np.dot (in float32, as nnfs does) is taken out again."""
    before = dict(vars(np))
    yield
    for name, value in before.items():
        if vars(np)[name] is not value:
            setattr(np, name, value)
            _FINDER.patched.append(f"np.{name}")


def _named(name: str) -> types.ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _import_file(path: Path) -> types.ModuleType:
    """Beside its own neighbours, as if run from its folder; inside its package if it is in one."""
    root = path.parent
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        root = root.parent
    source = path.read_text("utf-8", "replace")
    relative = re.findall(r"^\s*from\s+(\.+)", source, re.MULTILINE)
    if relative and root == path.parent:
        root = path.parents[len(max(relative, key=len))]
    named = re.findall(r"^\s*(?:from|import)\s+(\w+)\.", source, re.MULTILINE)
    nearby = [path.parent, *list(path.parents)[1:4]]  # a package's module may bear its name:
    nearby = [f for f in nearby if f.name not in named or not (f / f"{f.name}.py").is_file()]
    folders = [root, *nearby] if root != path.parent else nearby
    sys.path[:0] = [str(folder) for folder in dict.fromkeys(folders)]
    if relative:
        return importlib.import_module(".".join(path.with_suffix("").relative_to(root).parts))
    name = path.stem if path.stem not in sys.modules else f"_checked_{path.stem}"
    loader = _Wide(name, str(path))
    loader.runs_script = False
    module = types.ModuleType(name)
    module.__file__, sys.modules[name] = str(path), module
    loader.exec_module(module)
    return module


class _Wide(importlib.machinery.SourceFileLoader):
    """Reads float64 where the file says float32: differences need it, the code is the same."""

    runs_script = True

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        source = Path(path).read_text("utf-8", "replace")
        wide = re.sub(r"\bfloat(16|32)\b", "float64", source)
        wide = re.sub(r"(dtype\s*=\s*|astype\(\s*)(['\"])f4?\2", r"\1'd'", wide)
        if wide != source:
            _FINDER.widened.append(Path(path).name)
        tree = ast.parse(wide, path)
        if not self.runs_script:
            tree.body = _without_script(tree.body)
        unread = __future__.annotations.compiler_flag  # np.mat in a signature is gone from NumPy 2
        return compile(ast.fix_missing_locations(tree), path, "exec", unread, dont_inherit=True)


def _without_script(body: list[ast.stmt]) -> list[ast.stmt]:
    """What follows the last definition may train for hours: only its values are kept."""
    last = max((k for k, s in enumerate(body) if isinstance(s, DEFINITION)), default=len(body))
    kept = [s for s in body[last + 1 :] if not isinstance(s, SCRIPT)]
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
    return body[: last + 1] + [ast.Try([s], [handler], [], []) for s in kept]


DEFINITION = ast.FunctionDef, ast.ClassDef
SCRIPT = ast.Expr, ast.For, ast.While, ast.With


class _Missing(types.ModuleType):
    """Stands in for a package that is not installed: may be imported, decorate and be inherited."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        decorates = len(args) == 1 and not keywords and callable(args[0])
        return args[0] if decorates else self

    def __deepcopy__(self, memo: dict) -> Any:
        return self

    def __mro_entries__(self, bases: tuple) -> tuple:
        return ()


class _Finder(importlib.machinery.PathFinder):
    """Learners' files are widened, missing packages stood in for."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.widened: list[str] = []
        self.patched: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # type: ignore[override]
        if any(f"{name}.".startswith(f"{m}.") for m in self.missing):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        origin = str(spec.origin or "") if spec else ""
        library = origin.startswith(LIBRARIES) or "site-packages" in origin
        if spec is None or library or not origin.endswith(".py") or name.startswith("gradcheck"):
            return None
        spec.loader = _Wide(name, origin)
        return spec

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Missing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        module.__path__ = []


_FINDER = _Finder()
