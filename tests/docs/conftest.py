"""A browser for the tests of the pages: the system's Chromium, without a window."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--dump-dom",
]  # fmt: skip


@pytest.fixture(scope="session")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """A function that opens a page (its HTML) and returns what its scripts wrote as <pre>."""
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("no Chromium is installed (apt install chromium)")

    def open_page(page: str) -> list[str]:
        folder = tmp_path_factory.mktemp("browser")
        file = folder / "page.html"
        file.write_text(page, encoding="utf-8")
        command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        shutil.rmtree(folder / "profile", ignore_errors=True)
        shown = done.stdout.rpartition("</iframe>")[2]
        written = re.findall(r'<pre class="found"[^>]*>(.*?)</pre>', shown, re.S)
        assert written, done.stderr[-2000:]
        return list(map(html.unescape, written))

    return open_page


@pytest.fixture(scope="session")
def docs() -> Path:
    return Path(__file__).resolve().parents[2] / "docs"
