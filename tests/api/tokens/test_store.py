import errno
import fcntl
import logging
import os
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harvester.api.tokens  # noqa: F401 - first, since it and oauth import each other
from harvester.api.tokens import store as room
from harvester.api.tokens.oauth import _LONGEST, _SCOPES_MOST
from harvester.api.tokens.pair import Pair
from harvester.api.tokens.store import Step, TokenStore
from harvester.api.tokens.stored import Stored, encode
from harvester.errors import StorageError
from harvester.secret import Secret
from tests.api.helpers import NOW_S, all_of
from tests.landing.helpers import files_under, unprivileged_folder

NAME = "agency"
UMASKS = pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077])
STEPS = pytest.mark.parametrize("step", list(Step))


def stored(serial: int, size: int = 0) -> Stored:
    """What a token's file holds after so many renewals."""
    access, refresh = f"fake-access-{serial}-{'x' * size}", f"fake-refresh-{serial}"
    pair = Pair(access=Secret(access), refresh=Secret(refresh), since=NOW_S + serial)
    return Stored(token=NAME, serial=serial, pair=pair, access_mark="a", refresh_mark="r")


OLD, NEW, NEWER = stored(1), stored(2), stored(3)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    """A store that has not been used yet."""
    return TokenStore(tmp_path / "tokens")


@pytest.fixture
def used(store: TokenStore) -> TokenStore:
    """A store that holds a pair."""
    put(store, OLD)
    return store


def put(store: TokenStore, one: Stored) -> None:
    """A renewal from its beginning to its end."""
    with store.held(NAME) as mine:
        assert mine
        with store.slot(NAME) as slot:
            slot.fill(one)


def main_file(store: TokenStore) -> Path:
    """The token's file."""
    return store.folder / f"{NAME}.json"


def beside(store: TokenStore) -> Path:
    """Where its next pair is written."""
    return store.folder / f"{NAME}.json.new"


def mode(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.lstat().st_mode)


def handles() -> int:
    """How many are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def in_child(what: Callable[[], object]) -> int:
    """Does it in a process of its own; its exit code, or the negative number of the signal that killed it."""
    child = os.fork()
    if not child:
        try:
            what()
        except BaseException:  # noqa: BLE001 - nothing of the child may go on with the tests
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(step: Step) -> Callable[[Step], None]:
    """Kills the process after a step, for good."""
    return lambda at: os.kill(os.getpid(), signal.SIGKILL) if at is step else None


def renewal_killed_at(store: TokenStore, step: Step, one: Stored = NEW) -> None:
    """A process that renews, and is killed."""

    def renew() -> None:
        room.passed = killed_at(step)
        put(store, one)

    assert in_child(renew) == -signal.SIGKILL


@contextmanager
def failing(patch: pytest.MonkeyPatch, name: str, number: int, at: int = 0) -> Iterator[list[int]]:
    """The system refuses something, from the so-manieth time on."""
    really: Any = getattr(os, name)
    calls = [0]

    def refuse(*arguments: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] > at:
            raise OSError(number, os.strerror(number))
        return really(*arguments, **more)

    with patch.context() as here:
        here.setattr(os, name, refuse)
        yield calls


class TestReading:
    """What is stored."""

    def test_nothing_is_stored_at_first(self, store: TokenStore) -> None:
        """And looking makes nothing."""
        assert store.read(NAME) is None
        assert store.check([NAME]) == []
        assert not store.folder.exists()

    def test_what_was_filled_in_is_read(self, used: TokenStore) -> None:
        """By any store of that folder, and only under its name."""
        assert TokenStore(used.folder).read(NAME) == OLD
        assert used.read("other") is None
        put(used, NEW)
        assert used.read(NAME) == NEW
        assert files_under(used.folder) == {"agency.json", "agency.lock"}

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[:0],
            lambda content: content[:-9],
            lambda content: content.replace(b"fake-access-1", b"fake-access-7"),
            lambda content: b"\0" * len(content),
            lambda content: b"fake-access-1" + content,
            lambda content: content and encode(replace(OLD, token="other")),  # noqa: S106 - the name of its table
        ],
    )
    def test_a_damaged_file_says_what_to_do(self, damage: Callable[[bytes], bytes], used: TokenStore) -> None:
        """By its path and without a secret; it is not touched."""
        path = main_file(used)
        path.write_bytes(damaged := damage(path.read_bytes()))
        with pytest.raises(StorageError, match=r"restore it, or remove it and put working tokens") as caught:
            used.read(NAME)
        assert str(path) in str(caught.value)
        assert not [one for one in ("fake-access", "fake-refresh") if one in all_of(caught.value)]
        beside(used).write_bytes(encode(NEW))
        with pytest.raises(StorageError, match="restore it, or remove it"):
            put(used, NEW)
        assert path.read_bytes() == damaged

    def test_a_damaged_file_that_was_removed_gives_way_to_the_config(self, used: TokenStore) -> None:
        """As the message says."""
        main_file(used).unlink()
        assert used.read(NAME) is None
        put(used, NEW)
        assert used.read(NAME) == NEW

    def test_a_file_that_may_not_be_read(self) -> None:
        """It is told as such."""
        with unprivileged_folder() as folder:
            store = TokenStore(folder)
            put(store, OLD)
            main_file(store).chmod(0o000)
            with pytest.raises(StorageError, match=r"cannot read .*agency\.json: .*Make it writable"):
                store.read(NAME)

    def test_readers_always_see_a_whole_pair(self, used: TokenStore) -> None:
        """However often it is replaced meanwhile, and whatever its length; and never an older one after a newer."""
        ready, begun = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.write(begun, b"x")
                for serial in range(2, 60):
                    put(used, stored(serial, serial % 7 * 1_000))
            except BaseException:  # noqa: BLE001 - nothing of the child may go on with the tests
                os._exit(1)
            os._exit(0)
        os.read(ready, 1)
        seen = [1]
        while seen[-1] < 59:
            one = used.read(NAME)
            assert one is not None
            assert one == stored(one.serial, one.serial % 7 * 1_000 if one.serial > 1 else 0)
            seen.append(one.serial)
        assert os.waitpid(child, 0)[1] == 0
        assert seen == sorted(seen)
        os.close(ready)
        os.close(begun)


class TestPrivacy:
    """For its owner's eyes only."""

    @UMASKS
    def test_everything_is_private_from_the_beginning(self, umask: int, store: TokenStore) -> None:
        """Whatever the umask, at every step of a renewal."""
        modes = set[tuple[str, int]]()

        def look(_: Step) -> None:
            modes.update((path.name, mode(path)) for path in (store.folder, *store.folder.iterdir()))

        before = os.umask(umask)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(room, "passed", look)
                put(store, OLD)
                put(store, NEW)
        finally:
            os.umask(before)
        assert modes == {
            ("tokens", 0o700),
            ("agency.json", 0o600),
            ("agency.json.new", 0o600),
            ("agency.lock", 0o600),
        }
        assert store.check([NAME]) == []

    def test_what_is_not_private_is_made_so_and_told(self, used: TokenStore) -> None:
        """Folder and files, once; what is private is not told."""
        main_file(used).chmod(0o644)
        used.folder.chmod(0o755)
        assert used.check([NAME]) == [str(used.folder), str(main_file(used))]
        assert (mode(used.folder), mode(main_file(used))) == (0o700, 0o600)
        assert used.check([NAME]) == []

    @pytest.mark.parametrize("kept", ["notes.txt", "theirs/"])
    def test_a_folder_with_other_things_in_it_is_left_as_it_is(self, used: TokenStore, kept: str) -> None:
        """Others may be reading there; the tokens' own files are private all the same."""
        other = used.folder / kept
        other.mkdir() if kept.endswith("/") else other.touch()
        other.chmod(0o755)
        main_file(used).chmod(0o644)
        used.folder.chmod(0o755)
        assert used.check([NAME]) == [str(main_file(used))]
        assert [mode(path) for path in (used.folder, main_file(used), other)] == [0o755, 0o600, 0o755]

    def test_a_file_that_another_process_takes_away_meanwhile(
        self, used: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has put its new pair into its place: nobody has to be told."""
        seen = [*used.folder.iterdir(), beside(used)]
        monkeypatch.setattr(Path, "iterdir", lambda _: iter(seen))
        assert used.check([NAME]) == []

    @pytest.mark.parametrize("bits", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640, 0o666, 0o777])
    def test_any_bit_for_others_is_too_many(self, bits: int, used: TokenStore) -> None:
        """Of the group or of everybody, to read, write or run."""
        main_file(used).chmod(bits)
        assert used.check([NAME]) == [str(main_file(used))]
        assert mode(main_file(used)) == 0o600

    def test_a_folder_that_is_not_private_is_made_so_before_it_is_used(self, store: TokenStore) -> None:
        """Somebody may have made it by hand."""
        store.folder.mkdir(mode=0o755)
        put(store, OLD)
        assert mode(store.folder) == 0o700

    def test_what_belongs_to_somebody_else_cannot_be_made_private(self) -> None:
        """That is an error, which names it."""
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        with unprivileged_folder() as folder:
            store = TokenStore(folder)
            put(store, OLD)
            main_file(store).chmod(0o644)
            os.seteuid(0)
            os.chown(main_file(store), 0, 0)
            os.seteuid(folder.stat().st_uid)
            with pytest.raises(StorageError, match=r"cannot look after .*: .*Make it writable"):
                store.check([NAME])

    @pytest.mark.parametrize("name", ["agency.json", "agency.lock", "agency.json.new"])
    @pytest.mark.parametrize("there", [True, False])
    def test_links_in_place_of_files_are_refused(
        self, name: str, there: bool, store: TokenStore, tmp_path: Path
    ) -> None:
        """Wherever they lead: what is there is neither read nor changed nor made private, and nothing is made."""
        target = tmp_path / "theirs"
        if there:
            target.write_bytes(encode(OLD))
            target.chmod(0o644)
        store.folder.mkdir(mode=0o700)
        (store.folder / name).symlink_to(target)
        with pytest.raises(StorageError, match=r"is a link, and tokens are kept in files of their own: remove it"):
            store.check([NAME])
        if name == "agency.json" and there:
            with pytest.raises(StorageError, match="cannot read"):
                store.read(NAME)
        elif name != "agency.json":
            with pytest.raises(StorageError, match=NAME):
                put(store, NEW)
        assert target.exists() is there
        if there:
            assert (target.read_bytes(), mode(target)) == (encode(OLD), 0o644)

    def test_a_folder_that_is_a_link_is_a_folder(self, store: TokenStore, tmp_path: Path) -> None:
        """To another disk, perhaps: what counts is what it leads to, and that is told once."""
        (tmp_path / "elsewhere").mkdir(mode=0o755)
        store.folder.symlink_to(tmp_path / "elsewhere")
        assert store.check([NAME]) == [str(store.folder)]
        assert mode(tmp_path / "elsewhere") == 0o700
        put(store, OLD)
        assert store.check([NAME]) == []
        assert store.read(NAME) == OLD

    def test_a_folder_that_may_not_be_looked_at(self) -> None:
        """It is told as such."""
        with unprivileged_folder() as folder:
            (folder / "state").mkdir(mode=0o000)
            store = TokenStore(folder / "state" / "tokens")
            for attempt in (lambda: store.check([NAME]), lambda: store.read(NAME), lambda: put(store, OLD)):
                with pytest.raises(StorageError, match="Make it writable"):
                    attempt()


class TestLock:
    """Who renews a token."""

    def test_one_at_a_time_in_one_process(self, store: TokenStore) -> None:
        """Nothing is waited for; each token has its own lock; and it comes back."""
        with store.held(NAME) as first, TokenStore(store.folder).held(NAME) as second, store.held("other") as other:
            assert (first, second, other) == (True, False, True)
        with store.held(NAME) as again:
            assert again

    def test_one_at_a_time_among_processes(self, store: TokenStore) -> None:
        """A process that another one keeps out is told so; and the lock of a dead one is free."""

        def try_it() -> None:
            with store.held(NAME) as mine:
                os._exit(7 if mine else 8)

        with store.held(NAME):
            assert in_child(try_it) == 8
        assert in_child(try_it) == 7
        renewal_killed_at(store, Step.PREPARED)
        with store.held(NAME) as mine:
            assert mine

    def test_it_comes_back_after_an_error(self, store: TokenStore) -> None:
        """Whatever happens under it, no handle is left open."""
        put(store, OLD)
        before = handles()
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), store.held(NAME):
                raise error
        main_file(store).write_bytes(b"damaged")
        beside(store).write_bytes(encode(NEW))
        with pytest.raises(StorageError), store.held(NAME):
            pass
        assert handles() == before

    def test_who_does_not_have_it_takes_nothing_up(self, used: TokenStore) -> None:
        """The process that has it is about to write there."""
        with used.held(NAME):
            beside(used).write_bytes(b"\0" * 9)
            with TokenStore(used.folder).held(NAME) as mine:
                assert not mine
            assert beside(used).exists()

    def test_a_file_system_without_locks(self, used: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Some mounts have none: that is an error which names the file."""

        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        before = handles()
        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(StorageError, match=r"cannot lock .*agency\.lock: No locks available"), used.held(NAME):
            pass
        assert handles() == before

    def test_a_folder_that_may_not_be_written(self) -> None:
        """It is told before anything is asked for."""
        with unprivileged_folder() as folder:
            (folder / "state").mkdir(mode=0o500)
            store = TokenStore(folder / "state" / "tokens")
            with pytest.raises(StorageError, match=r"cannot prepare .*Make it writable"), store.held(NAME):
                pass


class TestRoom:
    """There is room before a pair is asked for."""

    @pytest.mark.parametrize(("name", "at"), [("open", 1), ("write", 0), ("fsync", 0), ("fsync", 1)])
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
    def test_a_disk_that_fails_is_told_in_time(
        self, name: str, at: int, number: int, used: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is asked for, the old pair stands, nothing is left behind, and the next try works."""
        before = handles()
        no_room = pytest.raises(StorageError, match="cannot make room for")
        with failing(monkeypatch, name, number, at), no_room, used.held(NAME), used.slot(NAME):
            pytest.fail("a pair is asked for")
        assert (used.read(NAME), handles()) == (OLD, before)
        assert files_under(used.folder) == {"agency.json", "agency.lock"}
        put(used, NEW)
        assert used.read(NAME) == NEW

    def test_a_disk_that_is_really_full(self, used: TokenStore) -> None:
        """The system itself refuses to give the room."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(StorageError, match="cannot make room for"), used.held(NAME), used.slot(NAME):
                pytest.fail("a pair is asked for")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert used.read(NAME) == OLD
        assert not beside(used).exists()

    def test_there_is_room_for_the_longest_pair(self, used: TokenStore) -> None:
        """Two pairs of the longest tokens, with the longest scopes, each character as long as it can be written."""
        scopes = ("\U0001f600" * 200,) * _SCOPES_MOST
        longest = Pair(
            access=Secret('"' * _LONGEST),
            refresh=Secret("\\" * _LONGEST),
            access_until=NOW_S,
            since=NOW_S,
            scopes=scopes,
        )
        one = replace(NEW, pair=longest, former=longest)
        sizes: list[int] = []
        with used.held(NAME), used.slot(NAME) as slot:
            sizes.append(beside(used).stat().st_size)
            slot.fill(one)
        assert main_file(used).stat().st_size <= sizes[0]
        assert used.read(NAME) == one

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_room_that_stays_empty_is_removed(self, error: type[BaseException], used: TokenStore) -> None:
        """The request failed, or was cancelled."""
        before = handles()
        with pytest.raises(error), used.held(NAME), used.slot(NAME):
            raise error
        with used.held(NAME), used.slot(NAME):
            pass
        assert files_under(used.folder) == {"agency.json", "agency.lock"}
        assert (used.read(NAME), handles()) == (OLD, before)

    def test_the_old_pair_is_untouched_until_it_is_replaced(
        self, used: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each step in its order, and what a reader sees after it."""
        seen: list[tuple[Step, Stored | None]] = []
        monkeypatch.setattr(room, "passed", lambda step: seen.append((step, used.read(NAME))))
        put(used, NEW)
        assert seen == [(Step.PREPARED, OLD), (Step.ANSWERED, OLD), (Step.WRITTEN, OLD), (Step.REPLACED, NEW)]

    def test_it_is_durable_step_by_step(self, used: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Room, its name, the pair, then its place, then the name of that."""
        steps: list[str] = []
        fsync, replaced = os.fsync, os.replace

        def synced(handle: int) -> None:
            steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
            fsync(handle)

        def moved(source: str, target: str) -> None:
            steps.append(f"replace {Path(target).name}")
            replaced(source, target)

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", moved)
        monkeypatch.setattr(room, "passed", lambda step: steps.append(step.value))
        put(used, NEW)
        assert steps == [
            "fsync agency.json.new",
            "fsync tokens",
            "prepared",
            "answered",
            "fsync agency.json.new",
            "written",
            "replace agency.json",
            "replaced",
            "fsync tokens",
        ]


class TestAfterTheAnswer:
    """A new pair that is in memory: what becomes of it when the disk fails."""

    @pytest.mark.parametrize(
        ("name", "at", "kept"),
        [("write", 1, OLD), ("ftruncate", 0, NEW), ("fsync", 2, NEW), ("replace", 0, NEW), ("fsync", 3, NEW)],
    )
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
    def test_a_disk_that_fails_is_told(  # noqa: PLR0917 - fixtures
        self, name: str, at: int, kept: Stored, number: int, used: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As an error without a secret; a pair that was written all the same is taken up by the next one."""
        before = handles()
        with failing(monkeypatch, name, number, at), pytest.raises(StorageError, match="cannot store") as caught:
            put(used, NEW)
        assert not [one for one in ("fake-access", "fake-refresh") if one in all_of(caught.value)]
        assert handles() == before
        assert used.read(NAME) in (OLD, NEW)
        with used.held(NAME) as mine:
            assert mine
            assert used.read(NAME) == kept
        assert files_under(used.folder) == {"agency.json", "agency.lock"}
        put(used, NEWER)
        assert used.read(NAME) == NEWER

    def test_a_write_that_stops_in_the_middle(self, used: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a pair is none: the old one stands."""
        really = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda handle, content: really(handle, content[: len(content) // 2 + 1]))
            with failing(patch, "write", errno.EIO, at=20), pytest.raises(StorageError, match="cannot"):
                put(used, NEW)
        assert used.read(NAME) == OLD
        with used.held(NAME):
            assert used.read(NAME) == OLD
        assert not beside(used).exists()

    def test_a_system_that_writes_in_small_pieces(self, used: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are put together."""
        really = os.write
        monkeypatch.setattr(os, "write", lambda handle, content: really(handle, content[:1000]))
        put(used, stored(2, 3_000))
        assert used.read(NAME) == stored(2, 3_000)

    @STEPS
    def test_cancelled_at_a_step(self, step: Step, used: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is raised there: what was written is not lost, what was not is not there."""

        def stop(at: Step) -> None:
            if at is step:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(room, "passed", stop)
            with pytest.raises(KeyboardInterrupt):
                put(used, NEW)
        with used.held(NAME):
            assert used.read(NAME) == (NEW if step in {Step.WRITTEN, Step.REPLACED} else OLD)
        put(used, NEWER)
        assert used.read(NAME) == NEWER


class TestKilled:
    """A process that dies in the midst of a renewal, and the next one."""

    @STEPS
    @pytest.mark.parametrize("first", [True, False])
    def test_what_the_next_one_finds(
        self, step: Step, first: bool, store: TokenStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Before the pair was written the old one stands; from then on the new one does, and nothing is left over."""
        before = None if first else OLD
        if before:
            put(store, before)
        renewal_killed_at(store, step)
        assert store.read(NAME) == (NEW if step is Step.REPLACED else before)
        assert beside(store).exists() is (step is not Step.REPLACED)
        with store.held(NAME) as mine:
            assert mine
            assert store.read(NAME) == (NEW if step in {Step.WRITTEN, Step.REPLACED} else before)
            assert not beside(store).exists()
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told == (
            [f"token {NAME}: a pair that a run could not put into its place any more is taken up"]
            if step is Step.WRITTEN
            else []
        )
        put(store, NEWER)
        assert store.read(NAME) == NEWER

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    @pytest.mark.parametrize("room_bytes", [0, 4096])
    def test_a_half_written_pair_is_removed(self, share: float, room_bytes: int, used: TokenStore) -> None:
        """The machine lost its power: only some of it reached the disk."""
        content = encode(NEW)
        beside(used).write_bytes(content[: int(len(content) * share)] + b"\0" * room_bytes)
        with used.held(NAME):
            assert used.read(NAME) == OLD
            assert not beside(used).exists()

    def test_a_whole_pair_with_room_behind_it_is_taken_up(self, used: TokenStore) -> None:
        """The process died before it cut off what it did not need."""
        beside(used).write_bytes(encode(NEW) + b"\0" * 4096)
        with used.held(NAME):
            assert used.read(NAME) == NEW

    @pytest.mark.parametrize("left", [OLD, stored(0), replace(NEW, token="other")])  # noqa: S106 - a table's name
    def test_what_is_no_newer_pair_of_this_token_is_removed(self, left: Stored, used: TokenStore) -> None:
        """An older one, the same, another token's."""
        beside(used).write_bytes(encode(left))
        with used.held(NAME):
            assert used.read(NAME) == OLD
            assert not beside(used).exists()

    @STEPS
    def test_taking_up_survives_another_death(self, step: Step, used: TokenStore) -> None:
        """The next process dies while it renews in its turn."""
        renewal_killed_at(used, Step.WRITTEN, NEW)
        renewal_killed_at(used, step, NEWER)
        with used.held(NAME):
            assert used.read(NAME) == (NEWER if step in {Step.WRITTEN, Step.REPLACED} else NEW)

    @pytest.mark.parametrize("name", ["fsync", "replace"])
    def test_a_disk_that_fails_while_it_is_taken_up(
        self, name: str, used: TokenStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is told, and the pair is still there for the next one."""
        renewal_killed_at(used, Step.WRITTEN)
        failed = pytest.raises(StorageError, match="cannot take up")
        with failing(monkeypatch, name, errno.EIO), failed, used.held(NAME):
            pytest.fail("it goes on")
        with used.held(NAME):
            assert used.read(NAME) == NEW
