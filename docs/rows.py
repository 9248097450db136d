"""The rows of the page, read from rows.toml: one for each step of training."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["COLUMNS", "INTRODUCTION", "ROWS", "Row", "Symbol", "paragraphs"]

COLUMNS = {  # implementation -> what it is
    "functional_net": "pure functions, samples are rows",
    "net": "objects, samples are columns",
    "cnn": "modules, samples are rows",
}


@dataclass(frozen=True)
class Symbol:
    """A letter of the formula, and how the three implementations spell it.

    A test finds every spelling in its cell, so that renaming a variable without the page is
    noticed.
    """

    key: str
    meaning: str
    rows: str  # its shape when samples are rows
    columns: str  # and when they are columns
    functional_net: str
    net: str
    cnn: str
    letter: str = ""  # of one entry in a formula; else the key with a small letter

    def spellings(self, column: str) -> list[str]:
        return getattr(self, column).split(" | ")

    @property
    def names(self) -> dict[str, str]:
        """How formulas and worked numbers write it -> the symbol."""
        spelled = [word.rpartition(".")[2] for word in self.spellings("functional_net")]
        return dict.fromkeys([self.letter or self.key.lower(), *spelled, self.key], self.key)


@dataclass(frozen=True)
class Row:
    """One step; the head of rows.toml says what its fields hold."""

    key: str
    title: str
    formulas: dict[str, str]
    why: str
    symbols: str
    functional_net: str
    net: str
    cnn: str
    worked: list[str]
    told: str
    question: str
    checked: str = ""  # the gradient whose error is shown
    common: str = ""  # code that serves all three, below the cells

    @property
    def table(self) -> list[Symbol]:
        lines = self.symbols.strip().splitlines()
        return [Symbol(*re.split(r"\s{2,}", line.strip())) for line in lines]

    @property
    def equation(self) -> str:
        """ "E5", or nothing for the sections around the equations."""
        return self.key if self.key.startswith("E") else ""


def paragraphs(text: str) -> list[str]:
    """Each on a line of its own."""
    return [" ".join(part.split()) for part in text.strip().split("\n\n")]


TEXT = tomllib.loads(Path(__file__).with_name("rows.toml").read_text(encoding="utf-8"))
INTRODUCTION: str = TEXT["introduction"]
ROWS = [Row(**row) for row in TEXT["rows"]]
