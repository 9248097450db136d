"""The side-by-side page in a real browser: contrast, keyboard, symbols, switches, widths."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--dump-dom",
]  # fmt: skip

WIDTHS = [360, 390, 1024, 1440]

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium is installed (apt install chromium)"
)


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> dict[int, dict]:
    """What page_checks.js found, by the width of the page."""
    page = (ROOT / "docs" / "side_by_side.html").read_text(encoding="utf-8")
    checks = (Path(__file__).with_name("page_checks.js")).read_text(encoding="utf-8")
    page = html.escape(page.replace("</body>", f"<script>{checks}</script></body>"))
    frames = [f'<iframe width="{width}" height="900" srcdoc="{page}"></iframe>' for width in WIDTHS]
    folder = tmp_path_factory.mktemp("browser")
    around = folder / "around.html"
    around.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{''.join(frames)}", encoding="utf-8"
    )
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", around.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.findall(r"<pre>(.*?)</pre>", done.stdout.rpartition("</iframe>")[2], re.S)
    assert len(found) == len(WIDTHS), done.stderr[-2000:]
    return {each["width"]: each for each in map(json.loads, map(html.unescape, found))}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_reader_can_use_the_page(findings, width):
    found = findings[width]
    assert len(found["checked"]) > 25 and min(found["checked"].values()) > 0
    assert not found["wrong"], "\n".join(found["wrong"][:20])
