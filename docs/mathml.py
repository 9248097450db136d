"""Formulas written as Python become MathML: "dW = X.T @ dY", "y_nh = sum_d(x_nd * w_dh) + b_h".

Python reads them (ast); here stands how each part looks:

X.T     transposed          x_nd      with indices        sum_n(...)  a sum over n
dX      the gradient of X   a / b     a fraction          sqrt(a)     a root
f'(x)   a derivative        dY * X    entry by entry      <-  ->      becomes, leads to
"""

import ast
import re
from collections.abc import Mapping
from html import escape
from itertools import chain

import numpy as np

__all__ = ["Formula", "formula", "inline", "matrix", "number", "parse"]

PRIME = "\u02b9"  # a letter for Python, so that f' can be a name
SPACE = '<mspace width=".18em"></mspace>'  # keeps lr dW from being read as lrdW
LEVELS = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.MatMult: 2, ast.Div: 2}
TURNED = '<mi mathvariant="normal">T</mi>'
OPEN, CLOSE, COMMA = (f'<mo stretchy="false">{sign}</mo>' for sign in "(),")
SIGNS = {ast.Add: "+", ast.Sub: "−", ast.Div: "/", ast.Eq: "=", ast.Gt: ">"}
SIGNS |= {ast.LShift: "←", ast.RShift: "→"}


def parse(text: str) -> ast.expr:
    """The tree of a formula; "=" states that two sides are equal."""
    text = re.sub(r"(?<!=)=(?!=)", "==", text.replace("<-", "<<").replace("->", ">>"))
    return ast.parse(text.replace("f'", f"f{PRIME}").strip(), mode="eval").body


def formula(text: str, symbols: Mapping[str, str]) -> str:
    """A formula on its own line. symbols: base name -> the symbol it belongs to, {"dw": "dW"}."""
    return f'<math display="block">{row(Formula(symbols).visit(parse(text)))}</math>'


def inline(text: str, symbols: Mapping[str, str]) -> str:
    """A formula within a sentence; its fractions keep to the line, a / b."""
    return f"<math>{row(Formula(symbols, flat=True).visit(parse(text)))}</math>"


class Formula(ast.NodeVisitor):
    """visit(tree) gives a list of MathML elements; between two of them a line may break."""

    def __init__(self, symbols: Mapping[str, str], flat: bool = False):
        self.symbols, self.flat = symbols, flat
        self.below = False  # under a fraction bar?

    def held(self, node: ast.expr, least: int) -> list[str]:
        """The parts, in brackets if they hold together less tightly than that."""
        parts = self.visit(node)
        return parts if self.level(node) >= least else [OPEN, *parts, CLOSE]

    def level(self, node: ast.expr) -> int:
        """0 a comparison, 1 a sum, 2 a product, 3 a name."""
        if isinstance(node, ast.BinOp):
            return 3 if self.upright(node) else LEVELS.get(type(node.op), 0)
        return {ast.Compare: 0, ast.IfExp: 0, ast.UnaryOp: 1}.get(type(node), 3)

    def upright(self, node: ast.BinOp) -> bool:
        return isinstance(node.op, ast.Div) and not self.flat

    def visit_Name(self, node: ast.Name) -> list[str]:
        return [self.name(node.id)]

    def visit_Attribute(self, node: ast.Attribute) -> list[str]:
        if isinstance(node.value, ast.Name):
            return [self.name(ast.unparse(node))]
        return [f"<msup>{row(self.held(node.value, 3))}{TURNED}</msup>"]

    def visit_Constant(self, node: ast.Constant) -> list[str]:
        return [f"<mn>{ast.unparse(node)}</mn>"]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> list[str]:
        return ["<mo>−</mo>", *self.held(node.operand, 2)]

    def visit_BinOp(self, node: ast.BinOp) -> list[str]:
        if self.upright(node):
            top, self.below = row(self.visit(node.left)), True
            bottom, self.below = row(self.visit(node.right)), False
            return [f"<mfrac>{top}{bottom}</mfrac>"]
        level = self.level(node) + isinstance(node.op, ast.MatMult)
        right = self.held(node.right, level + isinstance(node.op, ast.Sub | ast.Div))
        return [*self.held(node.left, level), self.sign(node.op, node.left), *right]

    def visit_Compare(self, node: ast.Compare) -> list[str]:
        right = self.visit(node.comparators[0])
        return [*self.visit(node.left), self.sign(node.ops[0], node.left), *right]

    def visit_IfExp(self, node: ast.IfExp) -> list[str]:
        if_, else_ = (f"<mtext>&nbsp;{word}&nbsp;</mtext>" for word in ("if", "else"))
        test, otherwise = self.visit(node.test), self.visit(node.orelse)
        return [*self.visit(node.body), if_, *test, else_, *otherwise]

    def visit_Tuple(self, node: ast.Tuple) -> list[str]:
        return list(chain(*([COMMA, *self.visit(part)] for part in node.elts)))[1:]

    def visit_Call(self, node: ast.Call) -> list[str]:
        name, inside = ast.unparse(node.func), self.visit(ast.Tuple(node.args))
        if name == "sqrt":
            return [f"<msqrt>{row(inside)}</msqrt>"]
        if name.startswith("sum_"):
            sum_ = f"<munder><mo>∑</mo><mi>{name.removeprefix('sum_')}</mi></munder>"
            return [sum_, *self.held(node.args[0], 2)]
        return [*self.visit(node.func), OPEN, *inside, CLOSE]

    def generic_visit(self, node: ast.AST) -> list[str]:
        raise ValueError(f"a formula cannot hold {ast.unparse(node)!r}")

    def sign(self, op: ast.AST, left: ast.expr) -> str:
        """Between factors stands a small space; between arrays that meet entry by entry, a sign."""
        if isinstance(op, ast.Mult | ast.MatMult):
            arrays = isinstance(op, ast.Mult) and re.fullmatch("d?[A-Z]", ast.unparse(left))
            return "<mo>⊙</mo>" if arrays else SPACE
        return f"<mo>{escape(SIGNS[type(op)])}</mo>"

    def name(self, text: str) -> str:
        """X, dW, w_dh, logits: as mathematics writes it, and marked as the symbol it belongs to."""
        base, _, indices = text.removesuffix(".T").partition("_")
        out = letters(base)
        if indices:
            out = f"<msub>{out}<mrow>{''.join(f'<mi>{i}</mi>' for i in indices)}</mrow></msub>"
        if text.endswith(".T"):
            out = f"<msup>{out}{TURNED}</msup>"
        symbol = self.symbols.get(base.replace(PRIME, "'"))
        return f'<mrow data-s="{symbol}">{out}</mrow>' if symbol else out


def letters(base: str) -> str:
    """A name without its indices."""
    if re.fullmatch(r"d([A-Za-z]|logits|[A-Z]\d)", base):  # the gradient of ...
        return f'<mrow><mi mathvariant="normal">d</mi>{letters(base[1:])}</mrow>'
    if base.endswith(PRIME):
        return f'<mrow>{letters(base[:-1])}<mo lspace="0" rspace="0">′</mo></mrow>'
    return f"<mi>{'ε' if base == 'eps' else base}</mi>"


def row(parts: list[str]) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


# --- numbers ------------------------------------------------------------------


def number(value: float) -> str:
    """Four decimals, without the zeros at the end."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def matrix(values: np.ndarray, label: str) -> str:
    """The entries, the label below; page.css draws the brackets, which few fonts can stretch."""
    if np.ndim(values) == 0:
        return f"<munder><mn>{number(float(values))}</mn>{label}</munder>"
    lines = ("".join(f"<mtd><mn>{number(v)}</mn></mtd>" for v in line) for line in values)
    table = "".join(f"<mtr>{line}</mtr>" for line in lines)
    return f"<munder><mtable>{table}</mtable>{label}</munder>"
