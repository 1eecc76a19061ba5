"""`harvester report` as a shell sees it."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.page.reading import Page, assert_self_contained
from tests.test_cli import Served, harvester, sandbox


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A landing zone after a run, whose sandbox is gone."""
    with sandbox(tmp_path_factory.mktemp("cli")) as served:
        assert harvester("run", served.config).returncode == 0
    return served


def test_a_page(run_once: Served, tmp_path: Path) -> None:
    """It lies where it is told to, or beside whoever asks; the verdict and its path are printed."""
    for arguments, name in (((), "report.html"), (("--output", tmp_path / "calls.html"), "calls.html")):
        for _ in range(2):
            done = harvester("report", run_once.config, *arguments, cwd=tmp_path)
            assert (done.returncode, done.stderr) == (0, "")
            verdict, path = done.stdout.splitlines()
            assert verdict.startswith("COMPLETE through ")
            assert path.endswith(name)
        page = Page((tmp_path / name).read_text(encoding="utf-8"))
        assert_self_contained(page)
        assert "hours" in page.pictures
    assert sorted(one.name for one in tmp_path.iterdir()) == ["calls.html", "report.html"]
    assert str(tmp_path) not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_days_and_calls_are_chosen(run_once: Served, tmp_path: Path) -> None:
    """`--start`, `--end`, `--call-days` and `--no-calls`."""
    days = ("--start", "today-3", "--end", "today-2")
    assert harvester("report", run_once.config, *days, "--call-days", "1", cwd=tmp_path).returncode == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert (len(page.tables["days-table"].rows), len(page.tables["connected-table"].rows)) == (2, 1)
    assert harvester("report", run_once.config, "--no-calls", cwd=tmp_path).returncode == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert (len(page.tables["days-table"].rows), "hours" in page.pictures) == (7, False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--start", "someday"), "someday"),
        (("--call-days", "0"), "--call-days"),
        (("--start", "today-2", "--end", "today-5"), "end"),
    ],
)
def test_usage(arguments: tuple[str, ...], told: str, run_once: Served, tmp_path: Path) -> None:
    """What cannot be is refused with exit code 2, and no page is left."""
    done = harvester("report", run_once.config, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_into_a_pipe_and_through_a_link(run_once: Served, tmp_path: Path) -> None:
    """A pipe gets the page and stays a pipe; behind a link the file is replaced, and the link stays."""
    pipe, link, page = tmp_path / "pipe", tmp_path / "link.html", tmp_path / "page.html"
    os.mkfifo(pipe)
    link.symlink_to(page)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert harvester("report", run_once.config, "--no-calls", "--output", pipe).returncode == 0
    reader.join(60)
    assert heard[0].rstrip().endswith("</html>")
    assert pipe.is_fifo()
    assert harvester("report", run_once.config, "--no-calls", "--output", link).returncode == 0
    assert link.is_symlink()
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_nowhere_to_write(run_once: Served, tmp_path: Path) -> None:
    """A page that cannot be written ends with exit code 4, and says so."""
    done = harvester("report", run_once.config, "--output", tmp_path / "not there" / "page.html")
    assert (done.returncode, done.stdout) == (4, "")
    assert "page.html" in done.stderr or "not there" in done.stderr


def test_damaged_ledger(run_once: Served, tmp_path: Path) -> None:
    """It is told as by the other commands, with exit code 4."""
    shutil.copytree(run_once.config.parent, tmp_path / "copy")
    (tmp_path / "copy" / "landing" / ".harvester" / "ledger.sqlite").write_bytes(b"")
    done = harvester("report", tmp_path / "copy" / run_once.config.name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert "--rebuild" in done.stderr
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("gone", ["matplotlib", "jinja2"])
def test_without_the_extra(gone: str, run_once: Served, tmp_path: Path) -> None:
    """What is missing and how to get it is told, with exit code 2; `--help` needs none of it."""
    program = f"import sys; sys.modules['{gone}'] = None; from harvester.cli import main; main()"
    for arguments, code in ((("--help",), 0), ((str(run_once.config),), 2)):
        done = subprocess.run(
            [sys.executable, "-c", program, "report", *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == code
        if code:
            assert f"it needs {gone}, which is not installed" in done.stderr
            assert "pip install 'harvester[report]'" in done.stderr
        else:
            assert "Examples:" in done.stdout
    assert list(tmp_path.iterdir()) == []
