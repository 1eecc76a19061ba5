"""The page in a real browser, where there is one: it is drawn, in light and dark and on paper, without a complaint."""

import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import matplotlib.image
import pytest

from harvester.page.gather import Wishes, gather
from harvester.page.html import html_of
from tests.flows import assign, run, sandbox
from tests.page.ground import LATER_S, WORLD

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER: Final = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: none of {', '.join(NAMES)}"),
]
QUIET: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-default-apps", "--disable-extensions", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr", "--hide-scrollbars",
    "--window-size=1000,1400",
)  # fmt: skip
"""It asks nobody but this machine, whatever it wants of its makers."""


@dataclass
class Shown:
    """A page that a browser can ask for, and what it asked."""

    url: str
    folder: Path
    asked: list[str] = field(default_factory=list)

    def browse(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Lets a browser of its own open the page; it said nothing on its console."""
        assert BROWSER
        profile = f"--user-data-dir={self.folder / 'profile'}"
        done = subprocess.run(
            [BROWSER, *QUIET, profile, *options, self.url], capture_output=True, text=True, check=True, timeout=240
        )
        assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
        return done

    def corner(self, scheme: str) -> float:
        """How light the page is beside its text, 0 to 1, for people who prefer a light or a dark one."""
        picture = self.folder / f"{scheme}.png"
        setting = {"dark": 0, "light": 1}[scheme]
        self.browse(f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={setting}")
        pixels = matplotlib.image.imread(picture)
        assert len({tuple(pixel) for row in pixels[::7] for pixel in row[::7]}) > 20, "hardly anything is drawn"
        return float(pixels[2][2][:3].mean())


@pytest.fixture
async def shown(tmp_path: Path) -> Shown:
    """Made, not yet served."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path / "landing")
        await run(assignment)
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "report.html").write_text(html_of(gather(assignment, Wishes(), LATER_S)), encoding="utf-8")
    return Shown("", folder)


@pytest.fixture
def serving(shown: Shown) -> Iterator[Shown]:
    """Served on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(shown.folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            shown.asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        shown.url = f"http://127.0.0.1:{server.server_address[1]}/report.html"
        yield shown
        server.shutdown()
        thread.join()


async def test_in_a_browser(serving: Shown) -> None:
    """One request, no word on the console; light and dark are what they are called; every picture is laid out."""
    assert serving.corner("light") > 0.95
    assert serving.corner("dark") < 0.15
    document = serving.browse("--dump-dom").stdout
    assert document.count("<svg ") == 9
    assert "COMPLETE through" in document
    paper = serving.folder / "page.pdf"
    serving.browse(f"--print-to-pdf={paper}", "--no-pdf-header-footer")
    assert paper.read_bytes().startswith(b"%PDF")
    assert set(serving.asked) == {"/report.html"}
