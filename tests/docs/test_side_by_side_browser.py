"""The side-by-side page in a real browser: contrast, keyboard, symbols, switches, widths."""

import html
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # a Chromium; test_side_by_side.py reads the same page as text

WIDTHS = [360, 390, 1024, 1440]


@pytest.fixture(scope="module")
def findings(browse, docs) -> dict[int, dict]:
    """What page_checks.js found, by the width of the page."""
    page = (docs / "side_by_side.html").read_text(encoding="utf-8")
    checks = Path(__file__).with_name("page_checks.js").read_text(encoding="utf-8")
    page = html.escape(page.replace("</body>", f"<script>{checks}</script></body>"))
    frames = [f'<iframe width="{width}" height="900" srcdoc="{page}"></iframe>' for width in WIDTHS]
    found = map(json.loads, browse(f"<!DOCTYPE html><meta charset=utf-8><body>{''.join(frames)}"))
    return {each["width"]: each for each in found}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_reader_can_use_the_page(findings, width):
    found = findings[width]
    assert len(found["checked"]) > 25 and min(found["checked"].values()) > 0
    assert not found["wrong"], "\n".join(found["wrong"][:20])
