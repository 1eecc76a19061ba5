"""The peers' virtual environments, one each with pinned versions, made once and kept in a folder."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

REQUIREMENTS: Final = {
    "dlt": ("dlt==1.31.0", "orjson==3.13.0"),
    "singer": ("singer-sdk==0.54.9", "msgspec==0.22.0"),
    "scrapy": ("scrapy==2.19.0", "orjson==3.13.0"),
    "airbyte": ("airbyte-cdk==7.39.1",),
}
"""Of each environment; the first is the peer itself."""


def version(name: str) -> str:
    """Of the peer that an environment is for."""
    return REQUIREMENTS[name][0].partition("==")[2]


def environment(name: str, folder: Path, say: Callable[[str], None]) -> Path | None:
    """The Python of a peer's environment, which is made if it is not there.

    Args:
        name: Of the environment.
        folder: Where all of them are.
        say: Told what is done, a line at a time.

    Returns:
        None if it could not be installed.
    """
    place, wanted = folder / name, " ".join((*REQUIREMENTS[name], sys.version))
    python, mark = place / "bin" / "python", place / "installed"
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return python
    say(f"installing {' '.join(REQUIREMENTS[name])} into {place}")
    shutil.rmtree(place, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[name]],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            say(f"left out: {name} cannot be installed here: {why}")
            return None
    mark.write_text(wanted, encoding="utf-8")
    return python
