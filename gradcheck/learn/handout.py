"""Hand-outs: our own sources with the equations taken out, cut where their numbers stand.

A line that carries `# (E5)` keeps its name, its shapes and its number; what it computes becomes
`...`, under a line that says what is asked. Nothing is copied by hand, so nothing can drift.
"""

import ast
import re
from pathlib import Path

from gradcheck.core import CannotCheck
from gradcheck.learn.marking import belongs, equations, functions, tags
from gradcheck.learn.units import UNITS

__all__ = ["handout", "solved", "write", "chosen", "head", "body", "file_name"]

ROOT = Path(__file__).resolve().parents[2]
CNN = ("kernels", "checks", "layer", "activations", "layers", "losses", "net", "__main__")
HEADS = {
    "functional": "a network of pure functions: weights are arguments, samples are rows",
    "net": "a network of objects: weights live in layers, samples are columns",
    "cnn": "a network of modules: weights are dictionaries, samples are rows, images (N, C, H, W)",
}
ASKED = {
    "E1": "the layer itself: weigh the inputs, add the bias",
    "E2": "what comes out for each entry, or window, that comes in?",
    "E3": "the loss, one number: the mean over the batch",
    "E4": "how does the loss change with each score?",
    "E5": "how does the loss change with each weight? One product, summed over the samples",
    "E6": "how does it change with the bias, which was added to every sample?",
    "E7": "what did each input contribute? Back through the weights",
    "E8": "the slope of the activation, times what comes from behind",
    "E9": "the momentum step: first the velocity, then the weights",
}


def solved(target: str) -> str:
    """The whole program in one file, with nothing taken out."""
    if target == "cnn":
        return package()
    text = (ROOT / {"functional": "functional_net.py", "net": "net.py"}[target]).read_text("utf-8")
    return without(text, {"input_gradient"})


def package() -> str:
    """cnn/ as one file: the modules one after the other, their imports of each other left out."""
    imports: dict[str, None] = {}
    bodies = []
    for name in CNN:
        text = (ROOT / "cnn" / f"{name}.py").read_text("utf-8")
        tree, rows = ast.parse(text), text.splitlines()
        drop: set[int] = set()
        for node in tree.body:
            start, end = node.lineno, node.end_lineno or node.lineno
            names = ast.unparse(node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                if not re.match(r"from cnn\b", names):
                    imports[names] = None
                drop |= set(range(start, end + 1))
            elif node is tree.body[0] or names.startswith("__all__"):
                drop |= set(range(start, end + 1))
        kept = "\n".join(row for n, row in enumerate(rows, 1) if n not in drop).strip("\n")
        bodies.append(f"# === {name} {'=' * (72 - len(name))}\n\n\n{kept}\n")
    alias = "kernels = sys.modules[__name__]  # a file of its own in cnn/"
    head = "\n".join(["import sys", *imports, "", alias])
    return f'"""Convolutional networks from scratch."""\n\n{head}\n\n\n' + "\n\n".join(bodies)


def without(text: str, names: set[str]) -> str:
    """The text without some functions: they would give an answer away."""
    rows, drop = text.splitlines(), set()
    for name, node in functions(ast.parse(text)):
        if name in names:
            drop |= set(range(node.lineno, (node.end_lineno or 0) + 3))
    kept = "\n".join(row for n, row in enumerate(rows, 1) if n not in drop) + "\n"
    return re.sub(rf'    "({"|".join(names)})",\n', "", kept)


# --- blanks -------------------------------------------------------------------


def chosen(target: str, only: str | None) -> set[tuple[str, str]]:
    """(equation, owner) of what is to be taken out; only: "E5,E6", "Conv2D", "Tanh.E8", "pooling".

    Raises CannotCheck for a word that means nothing here.
    """
    known = [(e, u) for u in UNITS[target] for e in equations(u) if e != "step"]
    if only is None:
        return {(e, u.owner) for e, u in known}
    picked = set()
    for word in map(str.strip, only.split(",")):
        hits = {(e, u.owner) for e, u in known if word in (e, u.owner, u.chapter, f"{u.owner}.{e}")}
        if not hits:
            raise CannotCheck(f"--only expects E1 to E9, or {known[0][1].owner}, got {word!r}")
        picked |= hits
    return picked


def handout(target: str, only: str | None = None) -> str:
    """The program with the chosen equations taken out."""
    text, picked = solved(target), chosen(target, only)
    rows = text.splitlines()
    changes = []
    for name, function in functions(ast.parse(text)):
        owners = {u.owner for u in UNITS[target] if belongs(u, name)}
        for node in ast.walk(function):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                inside = rows[node.lineno - 1 : node.end_lineno]
                if hits := [e for e in tags(inside) if any((e, o) in picked for o in owners)]:
                    changes.append((node, blank(node, inside, hits[0])))
    for node, lines in sorted(changes, key=lambda change: -change[0].lineno):
        rows[node.lineno - 1 : node.end_lineno] = lines
    return head(target) + body(rows)


def body(rows: list[str]) -> str:
    """The file behind its docstring."""
    tree = ast.parse("\n".join(rows))
    return "\n".join(rows[tree.body[0].end_lineno :]).strip("\n") + "\n"


def blank(node: ast.stmt, inside: list[str], equation: str) -> list[str]:
    """The statement with `...` for what it computes."""
    pad = " " * node.col_offset
    comment = inside[-1][inside[-1].index("# (E") :] if "# (E" in inside[-1] else f"# ({equation})"
    if isinstance(node, ast.Assign):
        code = " = ".join(map(ast.unparse, node.targets)) + " = ..."
    elif isinstance(node, ast.AugAssign):
        code = re.match(r"\s*(\S+ \S*=)", inside[0])[1] + " ..."  # type: ignore[index]
    elif isinstance(node, ast.Return):
        tail = (
            ast.unparse(node.value).partition(", {")[2] if isinstance(node.value, ast.Tuple) else ""
        )
        code = "return ..." + (f", {{{tail.rstrip(')')}" if tail else "")
    else:
        code = "..."
    comment = comment.split("  Y =")[0]
    return [f"{pad}# {equation}: {ASKED[equation]}", f"{pad}{code}  {comment}"]


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


def write(text: str, to: Path) -> None:
    """A new file; one that exists is never written over."""
    try:
        with open(to, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise CannotCheck(f"{to} exists: move it away, or name another with --to") from None
