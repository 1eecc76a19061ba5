"""Files and folders: who may read what holds secrets, what can be written, whether there is room. Looks only."""

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from harvester.disk import storage
from harvester.errors import ExitCode
from harvester.harvest.assignment import Assignment
from harvester.health import Area, Check, failure, ok, warning
from harvester.health.machine import private, room
from harvester.landing.partition import Zone

_DAYS_WEIGHED: Final = 3
_EXPOSED: Final = "if others use this machine, what is in it may have been read: authorise the app again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What a config consists of.

    Attributes:
        config: The TOML file.
        secrets: Files that hold secrets: those of `${file:…}`, and the config itself when it has any.
        notes: Remarks of the config's reader.
    """

    config: Path
    secrets: Sequence[Path] = ()
    notes: Sequence[str] = ()


def files(assignment: Assignment, papers: Papers) -> Iterator[Check]:
    """Files that hold secrets, and folders that are written."""
    exposed = [*_exposed_secrets(papers), *_exposed_tokens(tokens_dir(assignment))]
    yield from exposed
    if not exposed:
        many = len(papers.secrets)
        held = f"{many} file{'' if many == 1 else 's'} with secrets" if many else "no file of the config holds a secret"
        yield ok(Area.FILES, f"{held}, open to nobody else; so are the stored tokens" if many else held)
    folders = {"landing zone": assignment.output_dir, "state": assignment.state_dir, "tokens": tokens_dir(assignment)}
    for what, folder in folders.items():
        yield _writable(what, folder)
    yield from _renames(Zone(assignment.output_dir, assignment.compression))


def tokens_dir(assignment: Assignment) -> Path:
    """Where renewed tokens are kept."""
    return assignment.tokens_dir or assignment.state_dir / "tokens"


def _exposed_secrets(papers: Papers) -> Iterator[Check]:
    for path in dict.fromkeys(papers.secrets):
        found = _look(path)
        open_to = found and private(str(path), found.st_mode, group_too=False)
        if open_to:
            yield warning(Area.FILES, f"{open_to} and holds a secret", f"chmod o= {path}; {_EXPOSED}")


def _exposed_tokens(folder: Path) -> Iterator[Check]:
    try:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        advice = "give it back to the user that runs harvester, or set [state] tokens_dir"
        yield failure(Area.FILES, f"{folder} cannot be looked into: {error.strerror}", advice, ExitCode.STORAGE)
        return
    for path in [folder, *inside] if folder.is_dir() else []:
        found = _look(path)
        if found is None or stat.S_ISLNK(found.st_mode):
            continue
        if os.geteuid() not in {0, found.st_uid}:
            advice = "give it back to the user that runs harvester (chown), or set [state] tokens_dir"
            yield failure(Area.FILES, f"{path} belongs to somebody else", advice, ExitCode.STORAGE)
        elif open_to := private(str(path), found.st_mode, group_too=True):
            mode = "700" if path == folder else "600"
            advice = f"chmod {mode} {path} (each run does so, too); {_EXPOSED}"
            yield warning(Area.FILES, f"{open_to}, and tokens are kept there", advice)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None  # that it cannot be read was said when it had to be


def _writable(what: str, folder: Path) -> Check:
    there = _nearest(folder)
    if not there.is_dir():
        advice = f"move away {there}: a folder has to be there"
        return failure(Area.FILES, f"{what}: {there} is no folder", advice, ExitCode.STORAGE)
    if not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        advice = "make it writable for the user that runs harvester"
        return failure(Area.FILES, f"{what}: {there} cannot be written", advice, ExitCode.STORAGE)
    return ok(Area.FILES, f"{what}: {folder}{'' if there == folder else ', which the first run makes'}")


def _nearest(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _renames(zone: Zone) -> Iterator[Check]:
    """A file appears whole only when it is renamed within one file system."""
    root, scratch = _look(zone.root), _look(zone.scratch)
    if root and scratch and root.st_dev != scratch.st_dev:
        advice = "unmount it: unfinished files have to lie on the file system of the landing zone"
        what = f"{zone.scratch} is on another file system than {zone.root}"
        yield failure(Area.FILES, what, advice, ExitCode.STORAGE)


def disk(assignment: Assignment) -> Iterator[Check]:
    """Free space, against what the last days took. Raises `StorageError`."""
    zone, state = _nearest(assignment.output_dir), _nearest(assignment.state_dir)
    with storage(zone, "look at"):
        yield room(shutil.disk_usage(zone).free, _nights(assignment.output_dir), str(zone))
    with storage(state, "look at"):
        if state.stat().st_dev != zone.stat().st_dev:
            yield room(shutil.disk_usage(state).free, (), str(state))


def _nights(root: Path) -> list[int]:
    """What each of the last days landed, in bytes. Raises `OSError`."""
    if not root.is_dir():
        return []
    days = sorted(entry.name for entry in os.scandir(root) if _is_day(entry.name) and entry.is_dir())
    return [_bytes_in(root / day) for day in days[-_DAYS_WEIGHED:]]


def _is_day(name: str) -> bool:
    try:
        return name == f"dt={date.fromisoformat(name.removeprefix('dt='))}"
    except ValueError:
        return False


def _bytes_in(folder: Path) -> int:
    accounts = [entry.path for entry in os.scandir(folder) if entry.is_dir()]
    return sum(entry.stat().st_size for account in accounts for entry in os.scandir(account) if entry.is_file())
