"""A disk that can fail, or stop for good, at any step."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harvester.landing import steps

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Died(BaseException):
    """What SIGKILL does, as far as files can tell."""


class Disk:
    """Every step that changes the disk, in order; the step at `fail_at` fails with `error`.

    Steps are named by what is done and to what: `write 7.tmp`, `fsync 7.tmp`, `replace calls.ndjson`, `mkdir dt=…`;
    the named steps of checkpoint and publish stand among them: `passed day replaced`.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, fail_at: int | None = None, error: BaseException | None = None
    ) -> None:
        self.steps: list[str] = []
        self.fail_at = fail_at
        self.error = error or OSError()
        """With `Died` every later step fails, too: a dead process does nothing more."""
        names = ("fsync", "replace", "mkdir", "unlink", "rmdir", "link")
        self._really: dict[str, Any] = {name: getattr(os, name) for name in names}
        for name in names:
            patch.setattr(os, name, self._step_in_place_of(name))
        patch.setattr(Path, "open", self._open_in_place_of(Path.open))
        self._really |= {name: getattr(os, name) for name in ("open", "write")}
        patch.setattr(os, "open", self._os_open)
        patch.setattr(os, "write", self._os_write)
        patch.setattr(steps, "passed", lambda step: self.step("passed", step))

    def step(self, what: str, path: str | Path) -> None:
        """Notes a step, or fails."""
        self.steps.append(f"{what} {Path(path).name}")
        if self.fail_at is not None:
            at = len(self.steps) - 1
            if at == self.fail_at or (at > self.fail_at and isinstance(self.error, Died)):
                raise self.error

    def _step_in_place_of(self, name: str) -> Callable[..., None]:
        def watched(path: Any, *args: Any, **more: Any) -> None:
            subject = args[0] if name in {"replace", "link"} else path
            self.step(name, Path(f"/proc/self/fd/{path}").readlink() if name == "fsync" else subject)
            self._really[name](path, *args, **more)

        return watched

    def _os_open(self, path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & os.O_WRONLY:
            self.step("open", path)
        return int(self._really["open"](path, flags, *args, **more))

    def _os_write(self, handle: int, data: "ReadableBuffer") -> int:
        """Little at a time, as a disk may that is nearly full."""
        self.step("write", Path(f"/proc/self/fd/{handle}").readlink())
        return int(self._really["write"](handle, memoryview(data)[:64]))

    def _open_in_place_of(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def open_watched(path: Path, mode: str = "r", **more: Any) -> Any:
            if mode not in {"wb", "ab", "r+b"}:
                return really(path, mode, **more)
            self.step("open", path)
            raw = _WatchedFile(path, mode, self)
            return io.BufferedRandom(raw) if mode == "r+b" else io.BufferedWriter(raw, buffer_size=64)

        return open_watched


class _WatchedFile(io.FileIO):
    def __init__(self, path: Path, mode: str, disk: Disk) -> None:
        super().__init__(path, mode)
        self._path = path
        self._disk = disk

    def write(self, data: "ReadableBuffer", /) -> int:
        self._disk.step("write", self._path)
        return super().write(data) or 0

    def truncate(self, size: int | None = None, /) -> int:
        self._disk.step("truncate", self._path)
        return super().truncate(size)
