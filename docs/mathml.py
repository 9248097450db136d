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
    return f'<math display="block">{row(Formula(symbols).parts(parse(text)))}</math>'


def inline(text: str, symbols: Mapping[str, str]) -> str:
    """A formula within a sentence; its fractions keep to the line, a / b."""
    return f"<math>{row(Formula(symbols, flat=True).parts(parse(text)))}</math>"


class Formula:
    """A tree as a list of MathML elements; between two of them a line may break."""

    def __init__(self, symbols: Mapping[str, str], flat: bool = False):
        self.symbols, self.flat = symbols, flat

    def parts(self, node: ast.expr, least: int = 0, below: bool = False) -> list[str]:
        """least: what binds less tightly gets brackets; below: under a fraction bar."""
        if self.level(node) < least:
            return [OPEN, *self.parts(node, 0, below), CLOSE]
        match node:
            case ast.Name() | ast.Attribute(value=ast.Name()):
                return [self.name(ast.unparse(node), below)]
            case ast.Constant():
                return [f"<mn>{ast.unparse(node)}</mn>"]
            case ast.Attribute():
                return [f"<msup>{row(self.parts(node.value, 3))}{TURNED}</msup>"]
            case ast.UnaryOp():
                return ["<mo>−</mo>", *self.parts(node.operand, 2)]
            case ast.BinOp(op=ast.Div()) if not self.flat:
                bottom = self.parts(node.right, below=True)
                return [f"<mfrac>{row(self.parts(node.left))}{row(bottom)}</mfrac>"]
            case ast.BinOp():
                level = self.level(node) + isinstance(node.op, ast.MatMult)
                right = self.parts(
                    node.right, level + isinstance(node.op, ast.Sub | ast.Div), below
                )
                return [*self.parts(node.left, level, below), self.sign(node.op, node.left), *right]
            case ast.Compare():
                right = self.parts(node.comparators[0])
                return [*self.parts(node.left), self.sign(node.ops[0], node.left), *right]
            case ast.IfExp():
                words = [f"<mtext>&nbsp;{word}&nbsp;</mtext>" for word in ("if", "else")]
                test, otherwise = self.parts(node.test), self.parts(node.orelse)
                return [*self.parts(node.body), words[0], *test, words[1], *otherwise]
            case ast.Tuple():
                each = [[COMMA, *self.parts(part)] for part in node.elts]
                return list(chain(*each))[1:]
            case ast.Call(func=ast.Name(id="sqrt")):
                return [f"<msqrt>{row(self.parts(node.args[0]))}</msqrt>"]
            case ast.Call(func=ast.Name(id=name)) if name.startswith("sum_"):
                index = f"<mi>{name.removeprefix('sum_')}</mi>"
                return [f"<munder><mo>∑</mo>{index}</munder>", *self.parts(node.args[0], 2)]
            case ast.Call():
                inside = self.parts(ast.Tuple(node.args))
                return [*self.parts(node.func), OPEN, *inside, CLOSE]
        raise ValueError(f"a formula cannot hold {ast.unparse(node)!r}")

    def level(self, node: ast.expr) -> int:
        """How tightly its parts hold together: 0 a comparison, 1 a sum, 2 a product, 3 a name."""
        if isinstance(node, ast.BinOp):
            upright = isinstance(node.op, ast.Div) and not self.flat
            return 3 if upright else LEVELS.get(type(node.op), 0)
        return {ast.Compare: 0, ast.IfExp: 0, ast.UnaryOp: 1}.get(type(node), 3)

    def sign(self, op: ast.AST, left: ast.expr) -> str:
        """Between factors stands a small space; between arrays that meet entry by entry, a sign."""
        if isinstance(op, ast.Mult | ast.MatMult):
            arrays = isinstance(op, ast.Mult) and re.fullmatch("d?[A-Z]", ast.unparse(left))
            return "<mo>⊙</mo>" if arrays else SPACE
        return f"<mo>{escape(SIGNS[type(op)])}</mo>"

    def name(self, text: str, below: bool) -> str:
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
