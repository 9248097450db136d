"""Hand-outs: our own sources with the equations taken out, cut where their numbers stand.

A line that carries `# (E5)` keeps its name, its shapes and its number; what it computes becomes
`...`, under a line that says what is asked. Nothing is copied by hand, so nothing can drift.
"""

import ast
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from gradcheck.core import CannotCheck
from gradcheck.learn.hints import HINTS
from gradcheck.learn.units import STEP, UNITS
from gradcheck.ours.equations import functions_of, tags
from gradcheck.plants.mistakes import PLANTS
from gradcheck.plants.plant import Plant, PlantError, mutate

__all__ = [
    "BLANK", "numbered", "target_of", "handout", "solved", "chosen", "file_name",
    "plantable", "repair",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
CNN = ("kernels", "checks", "layer", "activations", "layers", "losses", "net", "__main__")
HEADS = {
    "functional": "a network of pure functions: weights are arguments, samples are rows",
    "net": "a network of objects: weights live in layers, samples are columns",
    "cnn": "a network of modules: weights are dictionaries, samples are rows, images (N, C, H, W)",
}
MARKS = {  # names by which a file tells which exercise it is
    "cnn": {"Linear", "Net"}, "net": {"FeedForwardNet", "FullyConnectedLayer"},
    "functional": {"forward", "backward", "cross_entropy"},
}  # fmt: skip


# --- reading a learner's file -------------------------------------------------

BLANK = re.compile(r"(?m)^( *|[^#\n]*(?:= *|\breturn +))\.\.\.(?= *(?:,|#|$))")


def numbered(source: str) -> dict[bool, set[tuple[str, str]]]:
    """(equation, function) of the lines with a number: of those that are blank, True, or not."""
    text = source.splitlines()
    found: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    with suppress(SyntaxError, ValueError):
        for name, function in functions_of(source).items():
            for row in text[function.lineno - 1 : function.end_lineno]:
                found[bool(BLANK.match(row))] |= {(e, name) for e in tags(row)}
    return found


def target_of(source: str) -> str | None:
    """Which exercise a file is: by its classes and functions."""
    names = set(re.findall(r"^(?:class|def) (\w+)", source, re.M))
    return next((target for target, some in MARKS.items() if names & some), None)


# --- the whole program ----------------------------------------------------------


@cache
def solved(target: str) -> str:
    """The whole program in one file, with nothing taken out."""
    if target == "cnn":
        return package()
    text = (ROOT / {"functional": "functional_net.py", "net": "net.py"}[target]).read_text("utf-8")
    return without(text, "input_gradient")


def package() -> str:
    """cnn/ as one file: the modules one after the other, their imports of each other left out."""
    imports: dict[str, None] = {}
    bodies = []
    for name in CNN:
        text = (ROOT / "cnn" / f"{name}.py").read_text("utf-8")
        tree, rows = ast.parse(text), text.splitlines()
        for node in tree.body:
            code = ast.unparse(node)
            imported = isinstance(node, ast.Import | ast.ImportFrom)
            if imported and not code.startswith("from cnn"):
                imports[code] = None
            if imported or node is tree.body[0] or code.startswith("__all__"):
                for n in range(node.lineno - 1, node.end_lineno or 0):
                    rows[n] = ""
        kept = re.sub(r"\n{4,}", "\n\n\n", "\n".join(rows)).strip("\n")
        bodies.append(f"# === {name} {'=' * (72 - len(name))}\n\n\n{kept}\n")
    alias = "kernels = sys.modules[__name__]  # a file of its own in cnn/"
    head = "\n".join(["import sys", *imports, "", alias])
    return f'"""Convolutional networks from scratch."""\n\n{head}\n\n\n' + "\n\n".join(bodies)


def without(text: str, name: str) -> str:
    """The text without a function: it would give an answer away."""
    rows = text.splitlines()
    for owner, node in reversed(functions_of(text).items()):
        if owner.split(".")[-1] == name:
            del rows[node.lineno - 1 : (node.end_lineno or 0) + (1 if "." in owner else 2)]
    return "\n".join(rows).replace(f'"{name}", ', "") + "\n"


# --- blanks ---------------------------------------------------------------------


def chosen(target: str, only: str | None) -> set[tuple[str, str]]:
    """(equation, owner) of what is to be taken out; only: "E5,E6", "Conv2D", "Tanh.E8", "pooling".

    Raises CannotCheck for a word that means nothing here.
    """
    known = {
        (e, u.owner): {e, u.owner, u.chapter, f"{u.owner}.{e}"} - {""}
        for u in UNITS[target]
        for e in u.equations
        if e != STEP
    }
    if only is None:
        return set(known)
    picked = set()
    for word in map(str.strip, only.split(",")):
        hits = {pair for pair, names in known.items() if word in names}
        if not hits:
            some = UNITS[target][0].owner
            raise CannotCheck(f"--only expects E1 to E9, or {some}, got {word!r}")
        picked |= hits
    return picked


@cache
def handout(target: str, only: str | None = None) -> str:
    """The program with the chosen equations taken out."""
    text, picked = solved(target), chosen(target, only)
    rows = text.splitlines()
    changes = []
    for name, function in functions_of(text).items():
        owners = {u.owner for u in UNITS[target] if u.holds(name)}
        for node in ast.walk(function):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                inside = rows[node.lineno - 1 : node.end_lineno]
                numbers = tags("\n".join(inside))
                if hits := [e for e in numbers if any((e, o) in picked for o in owners)]:
                    changes.append((node, blank(node, inside, hits[0])))
    for node, lines in sorted(changes, key=lambda change: -change[0].lineno):
        rows[node.lineno - 1 : node.end_lineno] = lines
    return head(target) + body("\n".join(rows))


def blank(node: ast.stmt, inside: list[str], equation: str) -> list[str]:
    """The statement with `...` for what it computes."""
    pad = " " * node.col_offset
    _, mark, comment = inside[-1].partition("# (E")
    comment = (mark + comment).split("  Y =")[0] or f"# ({equation})"
    value = getattr(node, "value", None)
    if isinstance(node, ast.Assign):
        code = " = ".join(map(ast.unparse, node.targets)) + " = ..."
    elif isinstance(node, ast.AugAssign):
        code = inside[0].strip().partition("= ")[0] + "= ..."
    elif isinstance(node, ast.Return):
        rest = value.elts[1:] if isinstance(value, ast.Tuple) else []  # what a layer remembers
        code = "return " + ", ".join(["...", *map(ast.unparse, rest)])
    else:
        code = "..."
    return [f"{pad}# {equation}: {HINTS[equation].question}", f"{pad}{code}  {comment}"]


def body(text: str) -> str:
    """The file behind its docstring."""
    rows = text.splitlines()
    return "\n".join(rows[ast.parse(text).body[0].end_lineno :]).strip("\n") + "\n"


def head(target: str, repair: bool = False) -> str:
    """What a learner reads first."""
    name = file_name(target)
    asked = "One line of this file is wrong. Find it, and mend it."
    if not repair:
        asked = "Fill in what stands as `...`, in the order E1 to E9. In the same folder:"
    return f'''"""{HEADS[target]}.

{asked}

    python -m gradcheck mark {name}      what is right and what is not (--watch: on every save)
    python -m gradcheck hint E5      the question, the shapes, the formula, a number
    python {name}      once all is right: trains on MNIST
"""

'''


def file_name(target: str) -> str:
    return f"my_{'functional_net' if target == 'functional' else target}.py"


# --- repair ---------------------------------------------------------------------


@cache
def plantable(target: str) -> dict[Plant, str]:
    """The mistakes that fit into the one file of the exercise, and the file with each of them."""
    found = {}
    for plant in PLANTS:
        if plant.target == target:
            with suppress(PlantError):  # it stands in a function that the exercise leaves out
                found[plant] = mutate(solved(target), plant)
    return found


def repair(target: str, seed: int | None) -> str:
    """The whole program with one mistake in it."""
    texts = list(plantable(target).values())
    return head(target, repair=True) + body(texts[np.random.default_rng(seed).integers(len(texts))])
