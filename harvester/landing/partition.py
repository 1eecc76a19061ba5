"""The landing zone's places: partitions, the quarantine, and the folder for what is unfinished."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Final

from harvester.calls import Stray
from harvester.disk import make_directory, make_one, remove, storage, sync_directory
from harvester.landing.encode import to_quarantine
from harvester.landing.files import replace_whole
from harvester.landing.lock import hold
from harvester.landing.ndjson import SUFFIXES, read_lines
from harvester.model import AccountId

_NAMES: Final = tuple(f"calls.ndjson{suffix}" for suffix in SUFFIXES.values())


class Zone:
    """The landing zone.

    Args:
        root: `[output] dir`.
        compression: Of files that are new; a file that is there keeps its own, so that a day never has two.
    """

    def __init__(self, root: Path, compression: str) -> None:
        self.root = root
        self._new_name = f"calls.ndjson{SUFFIXES[compression]}"
        self.scratch = root / ".harvester" / "unfinished"
        """For unfinished files: of the same file system as the zone, wherever the state directory is."""
        self.damaged = root / ".harvester" / "damaged"
        """For damaged files that were replaced."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the zone for a run, whatever its state directory.

        Raises:
            LockedError: A run with another state directory writes to this zone.
            StorageError: It cannot be written.
        """
        with storage(self.scratch, "prepare"):
            make_directory(self.scratch)
            lock = hold(self.scratch.parent / "zone.lock")
        with lock:
            yield

    def clear(self, *, but: Iterable[str]) -> None:
        """Removes what a dead run left unfinished.

        Args:
            but: Names of what is still needed.

        Raises:
            StorageError: It cannot be removed.
        """
        needed = set(but)
        with storage(self.scratch, "clear"):
            for left in self.scratch.iterdir():
                if left.name not in needed:
                    remove(left)

    def unstage(self, names: Iterable[str]) -> None:
        """Removes some of what was staged, as far as that goes; the next run clears the rest."""
        for name in names:
            with suppress(OSError):
                remove(self.scratch / name)

    def clear_staged(self) -> None:
        """Removes what was staged and will not be published, as far as that goes; the next run clears the rest."""
        for left in self.scratch.glob("*.tmp"):
            with suppress(OSError):
                remove(left)

    def folder_of(self, day: str) -> Path:
        """A day's folder."""
        return self.root / f"dt={day}"

    def partition(self, account: AccountId, day: str) -> Path:
        """The file of an account's day: the one that is there, else the one that will be. Raises `StorageError`."""
        return self.look(account, day)[0]

    def look(self, account: AccountId, day: str) -> tuple[Path, bool]:
        """The file of an account's day, and whether it is there, not yet to be. Raises `StorageError`."""
        folder = Path(f"{self.root}/dt={day}/account_id={account}")
        with storage(folder, "look into"):
            try:
                names = os.listdir(folder)  # noqa: PTH208 - of small files, paths are the larger part
            except (FileNotFoundError, NotADirectoryError):
                names = []
            there = (folder / name for name in _NAMES if name in names)
            if path := next((path for path in there if path.exists()), None):
                return path, True
        return folder / self._new_name, False

    def has(self, account: AccountId, day: date) -> bool:
        """Whether a day has a file. Raises `StorageError`."""
        if os.path.isfile(f"{self.root}/dt={day}/account_id={account}/{self._new_name}"):  # noqa: PTH113
            return True
        return self.look(account, day.isoformat())[1]

    def keep_damaged(self, path: Path, digest: bytes) -> Path:
        """Keeps a damaged file beside the landing zone's own, before it is replaced; where it is kept.

        Raises:
            StorageError: It cannot be kept.
        """
        day, account = path.parent.parent.name.removeprefix("dt="), path.parent.name.removeprefix("account_id=")
        kept = self.damaged / f"{day}-{account}-{digest.hex()[:8]}-{path.name}"
        with storage(kept, "keep"):
            make_one(self.damaged)
            if not kept.exists():
                self._keep(path, kept)
            sync_directory(self.damaged)
        return kept

    def _keep(self, path: Path, kept: Path) -> None:
        with suppress(OSError):  # not every file system has links
            os.link(path, kept)
            return
        copy = self.scratch / f"{kept.name}.tmp"
        shutil.copy2(path, copy)
        with copy.open("r+b") as file:
            os.fsync(file.fileno())
        copy.replace(kept)

    def quarantine(self, account: AccountId, strays: Iterable[Stray]) -> None:
        """Adds records that cannot be placed to the account's quarantine, each once.

        Raises:
            StorageError: It cannot be read or written; it is as it was.
        """
        path = self.root / "quarantine" / f"account_id={account}" / "calls.ndjson"
        with storage(path, "quarantine"):
            there = dict.fromkeys(read_lines(path)) if path.exists() else {}
            lines = there | dict.fromkeys(to_quarantine(stray) for stray in strays)
            if len(lines) > len(there):
                replace_whole(path, (line + b"\n" for line in lines), scratch=self.scratch)
