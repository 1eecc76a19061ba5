"""Calls, slices and a disk that can fail, which the tests of the landing zone share."""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import strategies as st

from harvester.model import Account, AccountId, AppName, Batch, Call, End, Receipt, Slice, Status, TokenName, Window
from harvester.record import read_record


def account(number: int) -> Account:
    """An account of the only token."""
    return Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName("main"))


ACCOUNT = account(2045867)
DAYS = ("2024-02-28", "2024-02-29", "2024-03-01")
_NOBODY = 65534

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def call(call_id: str | int, start: str, **fields: object) -> Call:
    """A call as `read_record` makes it of the API's bytes."""
    line = orjson.dumps({"call_id": call_id, "call_start_time": start, **fields})
    record = read_record(bytes(memoryview(line)))  # orjson's own bytes keep a buffer of 4 kB
    assert isinstance(record, Call)
    return record


def calls(days: tuple[str, ...] = DAYS) -> st.SearchStrategy[Call]:
    """Calls of a few days: few ids and seconds, so that they meet; ids and content of any kind."""
    ids = st.sampled_from(["1", "2", "10", "a b", "ä\u2028", 7, 2**63 - 1])
    clocks = st.sampled_from(["00:00:00", "09:30:00", "09:30:01", "23:59:59"])
    starts = st.builds("{} {}".format, st.sampled_from(days), clocks)
    content = st.sampled_from(["", "\n", "\r\n\u2028", "录音", "}{", '"\\'])
    return st.builds(lambda key, start, url: call(key, start, call_record_url=url), ids, starts, content)


def slice_of(first: str, last: str, whose: Account = ACCOUNT) -> Slice:
    """An account's days."""
    return Slice(whose, Window(date.fromisoformat(first), date.fromisoformat(last)))


def batch(one: Slice, *some: Call) -> Batch:
    """A page's calls on their way."""
    return Batch(slice=one, calls=some, strays=(), size_bytes=len(some))


def end(
    one: Slice,
    distinct: int,
    *,
    status: Status = Status.COMPLETE,
    reason: str | None = None,
    short_days: Iterable[date] = (),
) -> End:
    """The end of a walk that met so many different calls."""
    receipt = Receipt(
        requests=1, read=distinct, distinct=distinct, counted=distinct, reason=reason, short_days=frozenset(short_days)
    )
    return End(slice=one, status=status, reason=reason, receipt=receipt)


def files_under(folder: Path) -> set[str]:
    """Every file, by its path from the folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class Disk:
    """Every step that changes the disk, in order; the step at `fail_at` fails with `error`.

    Steps are named by what is done and to what: `write 7.tmp`, `fsync 7.tmp`, `replace calls.ndjson`, `mkdir dt=…`.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.fail_at: int | None = None
        self.error = OSError()
        self._really: dict[str, Any] = {name: getattr(os, name) for name in ("fsync", "replace", "mkdir", "unlink")}
        for name in self._really:
            patch.setattr(os, name, getattr(self, f"_{name}"))
        patch.setattr(Path, "open", self._open_in_place_of(Path.open))

    def step(self, what: str, path: str | Path) -> None:
        """Notes a step, or fails."""
        self.steps.append(f"{what} {Path(path).name}")
        if self.fail_at == len(self.steps) - 1:
            raise self.error

    def _fsync(self, handle: int) -> None:
        self.step("fsync", Path(f"/proc/self/fd/{handle}").readlink())
        self._really["fsync"](handle)

    def _replace(self, source: Path, target: Path) -> None:
        self.step("replace", target)
        self._really["replace"](source, target)

    def _mkdir(self, path: Path, *args: Any) -> None:
        self.step("mkdir", path)
        self._really["mkdir"](path, *args)

    def _unlink(self, path: Path, *args: Any, **more: Any) -> None:
        self.step("unlink", path)
        self._really["unlink"](path, *args, **more)

    def _open_in_place_of(self, really: Callable[..., Any]) -> Callable[..., Any]:
        def open_watched(path: Path, mode: str = "r", **more: Any) -> Any:
            if mode != "wb":
                return really(path, mode, **more)
            self.step("open", path)
            return io.BufferedWriter(_WatchedFile(path, self), buffer_size=64)

        return open_watched


class _WatchedFile(io.FileIO):
    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, "wb")
        self._path = path
        self._disk = disk

    def write(self, data: "ReadableBuffer", /) -> int:
        self._disk.step("write", self._path)
        return super().write(data) or 0


@contextlib.contextmanager
def unprivileged_folder() -> Iterator[Path]:
    """A folder whose file modes count: as root, who may do anything, the test goes on as nobody."""
    with tempfile.TemporaryDirectory(prefix="harvester-") as name:
        folder = Path(name)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, _NOBODY, _NOBODY)
            os.seteuid(_NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700)
