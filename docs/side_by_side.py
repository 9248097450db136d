"""The three implementations beside each other, equation by equation: writes docs/side_by_side.html.

Read rows.toml for what is said, cells.py for how the code is cut, worked.py for the numbers.
"""

import sys
from pathlib import Path
from typing import Annotated

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from datasets.run import console  # noqa: E402

PAGE = ROOT / "docs" / "side_by_side.html"


def main(to: Annotated[Path, console.option("--to", help="The page to write.")] = PAGE) -> None:
    """Show the three implementations side by side, each equation with its code and numbers."""
    from docs.page import build

    to.write_text(build(), encoding="utf-8")
    console.say(f"written to {to}")


if __name__ == "__main__":
    console.run(main)
