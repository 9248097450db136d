"""Formulas in ASCII become MathML: "dW = X' dY", "y_nh = sum_d x_nd w_dh + b_h".

X'      transposed          x_nd    with indices        sum_n   a sum over n
dX      the gradient of X   a / b   a fraction          sqrt(a) a root
f'(x)   a derivative        *       entry by entry      <-  becomes
"""

import re
from collections.abc import Mapping
from html import escape

import numpy as np

__all__ = ["formula", "inline", "matrix", "number", "name"]

TOKEN = re.compile(r"<-|->|[A-Za-z]+\d*(?:_[A-Za-z0-9]+)?'?|\d[\d.]*|[-+*/=(),<>']")
WORDS = {"eps": "ε"}
SIGNS = {"-": "−", "*": "⊙", "<-": "←", "->": "→"}


def formula(text: str, symbols: Mapping[str, str]) -> str:
    """A formula on its own line. symbols: base name -> the symbol it belongs to, {"dw": "dW"}."""
    return f'<math display="block">{_row(TOKEN.findall(text), symbols)}</math>'


def inline(text: str, symbols: Mapping[str, str]) -> str:
    """A formula within a sentence; its fractions keep to the line, a / b."""
    return f"<math>{_row(TOKEN.findall(text), symbols, flat=True)}</math>"


def _row(tokens: list[str], symbols: Mapping[str, str], flat: bool = False) -> str:
    """All that stands before the end, or before the bracket that closes."""
    parts: list[str] = []
    while tokens and (token := tokens.pop(0)) != ")":
        if token == "/" and not flat:
            below = _atom(tokens.pop(0), tokens, symbols)
            parts[-1] = f"<mfrac>{_bare(parts[-1])}{_bare(below)}</mfrac>"
        elif token == "'":
            parts[-1] = f"<msup>{parts[-1]}<mo>⊤</mo></msup>"
        else:
            if side_by_side(parts, token):
                parts.append('<mspace width=".18em"></mspace>')
            parts.append(_atom(token, tokens, symbols))
    return f"<mrow>{''.join(parts)}</mrow>"


def side_by_side(parts: list[str], token: str) -> bool:
    """Is this one factor after another? A small space keeps lr dW from being read as lrdW."""
    return bool(parts) and not parts[-1].startswith("<mo>") and token[0].isalnum()


def _atom(token: str, rest: list[str], symbols: Mapping[str, str]) -> str:
    if token == "(":
        return f"<mrow><mo>(</mo>{_row(rest, symbols)}<mo>)</mo></mrow>"
    if token == "sqrt":
        return f"<msqrt>{_bare(_atom(rest.pop(0), rest, symbols))}</msqrt>"
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token.startswith("sum_"):
        return f"<munder><mo>∑</mo>{_letters(token[4:])}</munder>"
    if token in ("if", "else"):
        return f"<mtext>&nbsp;{token}&nbsp;</mtext>"
    if token[0].isalpha():
        return name(token, symbols)
    return f"<mo>{escape(SIGNS.get(token, token))}</mo>"


def _bare(part: str) -> str:
    """What a fraction bar or a root holds together needs no brackets."""
    return re.sub(r"^<mrow><mo>\(</mo>(.*)<mo>\)</mo></mrow>$", r"\1", part)


def name(token: str, symbols: Mapping[str, str]) -> str:
    """X, dW, w_dh, logits: as mathematics writes it, and marked as the symbol it belongs to."""
    base, prime, _ = token.partition("'")
    base, _, indices = base.partition("_")
    out = _base(base)
    if indices:
        out = f"<msub>{out}{_letters(indices)}</msub>"
    if prime and base == "f":
        out = f'<mrow>{out}<mo lspace="0" rspace="0">′</mo></mrow>'
    elif prime:
        out = f"<msup>{out}<mo>⊤</mo></msup>"
    symbol = symbols.get(base + prime) or symbols.get(base)
    return f'<mrow data-s="{symbol}">{out}</mrow>' if symbol else out


def _base(base: str) -> str:
    if re.fullmatch(r"d([A-Za-z]|logits|[A-Z]\d)", base):  # the gradient of ...
        return f'<mrow><mi mathvariant="normal">d</mi>{_base(base[1:])}</mrow>'
    return f"<mi>{WORDS.get(base, base)}</mi>"


def _letters(indices: str) -> str:
    return f"<mrow>{''.join(f'<mi>{i}</mi>' for i in re.findall(r'[a-z]|[0-9]+', indices))}</mrow>"


# --- numbers ------------------------------------------------------------------


def number(value: float) -> str:
    """Four decimals, without the zeros at the end."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def matrix(values: np.ndarray, label: str = "") -> str:
    """The entries, the label below; page.css draws the brackets, which few fonts can stretch."""
    rows = "".join(
        f"<mtr>{''.join(f'<mtd>{_signed(v)}</mtd>' for v in row)}</mtr>"
        for row in np.atleast_2d(values)
    )
    body = f"<mtable>{rows}</mtable>"
    if np.ndim(values) == 0:
        body = f"<mrow>{_signed(float(values))}</mrow>"
    return f"<munder>{body}{label}</munder>" if label else body


def _signed(value: float) -> str:
    return f"<mn>{number(value).replace('-', '−')}</mn>"
