"""Where renewed tokens are kept: a file each, for its owner's eyes only, replaced whole.

A renewal takes the token's lock, looks whether another process was faster, makes room on the disk, and only then asks:
so an answer that has come can be written whatever the disk is like by then. A process that dies after it has written
and before it has replaced leaves the new pair beside the old one, and the next one takes it up.
"""

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from harvester.api.tokens.stored import Stored, decode, encode
from harvester.disk import make_directory, storage, sync_directory
from harvester.errors import StorageError

log = logging.getLogger(__name__)

_ROOM_BYTES: Final = 256 * 1024
"""More than any two pairs take: four tokens of 4096 characters, and the longest scopes."""
_ENDINGS: Final = (".json", ".json.new", ".lock")
"""Of a token's files."""


class Step(StrEnum):
    """What has just been done, so that tests can stop the process after it."""

    PREPARED = "prepared"
    """There is room for the new pair."""
    ANSWERED = "answered"
    """The new pair is in memory only."""
    WRITTEN = "written"
    """It is on the disk, beside the old one."""
    REPLACED = "replaced"
    """It is in the old one's place."""


def _nothing(step: Step) -> None:
    """What passing a step does, normally."""


passed: Callable[[Step], None] = _nothing
"""Called after each step; a test puts its own here."""


class TokenStore:
    """A folder of tokens.

    Args:
        folder: Made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, names: Iterable[str]) -> list[str]:
        """Makes the files of these tokens private if they are not, and the folder, unless other things are in it.

        Returns:
            What was not private, for a person.

        Raises:
            StorageError: It is no folder, or cannot be looked after, or something in it is a link.
        """
        with storage(self.folder, "look after"):
            if not self.folder.exists():
                return []
            if not self.folder.is_dir():
                raise StorageError(f"{self.folder}, where tokens are kept, is no folder: move it away and run again")
            files = [self._path(name).with_name(f"{name}{end}") for name in names for end in _ENDINGS]
            mine = [path for path in files if os.path.lexists(path)]
            return [str(path) for path in [*self._only_ours(), *mine] if _made_private(path)]

    def _only_ours(self) -> list[Path]:
        """The folder, if nothing but tokens is in it: what others keep there is nobody's to hide."""
        return [self.folder] if all(path.name.endswith(_ENDINGS) for path in self.folder.iterdir()) else []

    def read(self, name: str) -> Stored | None:
        """What is stored of a token; `None` when nothing is.

        Raises:
            StorageError: It cannot be read, or is not as it was written.
        """
        path = self._path(name)
        with storage(path, "read"):
            if not path.exists():
                return None
            content = _read(path)
        stored = decode(content)
        if stored is None or stored.token != name:
            raise StorageError(
                f"the stored token {path} is not as it was written: restore it, or remove it and put working tokens "
                "into the config"
            )
        return stored

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Keeps other processes from renewing this token; yields whether it could be had: nothing is waited for.

        Raises:
            StorageError: The folder cannot be written.
        """
        path = self.folder / f"{name}.lock"
        with storage(self.folder, "prepare"):
            make_directory(self.folder)
            for folder in self._only_ours():
                _made_private(folder)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not _locked(handle, path):
                yield False
                return
            self._take_up(name)
            yield True
        finally:
            os.close(handle)

    def slot(self, name: str) -> "Slot":
        """Room for a token's next pair; to be entered before it is asked for, under the lock."""
        return Slot(self, name)

    def _take_up(self, name: str) -> None:
        """What a process wrote that died before it could replace."""
        beside, path = _beside(self._path(name)), self._path(name)
        with storage(path, "take up"):
            if not beside.exists():
                return
            found, stored = decode(_read(beside)), self.read(name)
            if found and found.token == name and found.serial > (stored.serial if stored else 0):
                log.warning("token %s: a pair that a run could not put into its place any more is taken up", name)
                _sync(beside)
                beside.replace(path)
            else:
                beside.unlink()
            sync_directory(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


class Slot:
    """Room on the disk for a pair that is about to be asked for: a context manager, removed if it stays empty.

    Args:
        store: Where.
        name: The token's.
    """

    def __init__(self, store: TokenStore, name: str) -> None:
        self._store = store
        self._path = store.folder / f"{name}.json"
        self._beside = _beside(self._path)
        self._handle = -1

    def __enter__(self) -> Self:
        """Raises `StorageError` when there is no room."""
        with storage(self._path, "make room for"):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(self._beside, flags, 0o600)
            try:
                _write_all(self._handle, b"\0" * _ROOM_BYTES)
                os.fsync(self._handle)
                sync_directory(self._store.folder)
            except BaseException:
                self._drop()
                raise
        passed(Step.PREPARED)
        return self

    def fill(self, stored: Stored) -> None:
        """Replaces what is stored, durably.

        Raises:
            StorageError: The new pair is in memory only.
        """
        passed(Step.ANSWERED)
        content = encode(stored)
        with storage(self._path, "store"):
            os.lseek(self._handle, 0, os.SEEK_SET)
            _write_all(self._handle, content)
            os.ftruncate(self._handle, len(content))
            os.fsync(self._handle)
            passed(Step.WRITTEN)
            self._beside.replace(self._path)
            passed(Step.REPLACED)
            sync_directory(self._store.folder)
        self._close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._handle >= 0:
            self._drop()

    def _drop(self) -> None:
        self._close()
        with contextlib.suppress(OSError):
            if decode(_read(self._beside)) is None:  # what was written stays: the next one takes it up
                self._beside.unlink()

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        os.close(handle)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _locked(handle: int, path: Path) -> bool:
    """Whether nobody else keeps it locked. Raises `StorageError` where files cannot be."""
    with storage(path, "lock"):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        return file.read(16 * _ROOM_BYTES)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _made_private(path: Path) -> bool:
    """Whether it had to be made so that its owner alone may read it."""
    if path.is_symlink() and not path.is_dir():
        raise StorageError(f"{path} is a link, and tokens are kept in files of their own: remove it and run again")
    with contextlib.suppress(FileNotFoundError):  # another process has put its new pair into its place
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o700 if path.is_dir() else 0o600)
            return True
    return False
