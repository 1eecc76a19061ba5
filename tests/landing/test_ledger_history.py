from collections.abc import Callable, Mapping
from datetime import date
from functools import partial

import anyio
import anyio.to_thread
import msgspec
import pytest

from harvester.errors import StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.landing.publication import DayChange, Publication
from harvester.model import AppName, Status
from tests.landing.helpers import ACCOUNT, rows_of, slice_of
from tests.landing.test_ledger import NOW, checkpoint, known, published

MAIN = AppName("main")


def arrivals(ledger: Ledger) -> dict[tuple[str, int, int], Mapping[str, int]]:
    """What was read, by when, how old the days were, and whether again."""
    found: dict[tuple[str, int, int], Mapping[str, int]] = {}
    for row in rows_of(ledger, "arrivals"):
        read_on, age, again = date.fromordinal(row.pop("read_on")), row.pop("age"), row.pop("again")
        found[str(read_on), age, again] = row
    return found


def read_on(day: str, *changes: DayChange) -> Publication:
    """A slice that was read then."""
    return published(read_on=date.fromisoformat(day), days=changes)


def change(day: str, calls: int = 0, new: int = 0, changed: int = 0, missing: int = 0) -> DayChange:
    """What became of a day."""
    return DayChange(
        day=date.fromisoformat(day), path="p", complete=True, calls=calls, in_file=calls, new=new, changed=changed,
        missing=missing,
    )  # fmt: skip


def counted(days: int, calls: int = 0, new: int = 0, changed: int = 0, missing: int = 0) -> dict[str, int]:
    """What is counted of such days."""
    return {"days": days, "calls": calls, "new": new, "changed": changed, "missing": missing}


def test_arrivals(ledger: Ledger) -> None:
    """What was read is summed by when, by the days' age and by whether it was the first reading."""
    ledger.commit(read_on("2024-03-02", change("2024-02-28", 5, 5), change("2024-02-29", 7, 7)), NOW)
    other = read_on("2024-03-02", change("2024-02-29", 1, 1))
    ledger.commit(msgspec.structs.replace(other, account_id=1), NOW)
    ledger.commit(read_on("2024-03-03", change("2024-02-29", 9, 3, 2, 1), change("2024-03-02", 4, 4)), NOW)
    ledger.commit(read_on("2024-03-03", change("2024-02-29", 9, 0, 1, 0)), NOW)
    assert arrivals(ledger) == {
        ("2024-03-02", 3, 0): counted(1, 5, 5),
        ("2024-03-02", 2, 0): counted(2, 8, 8),
        ("2024-03-03", 3, 1): counted(2, 18, 3, 3, 1),
        ("2024-03-03", 1, 0): counted(1, 4, 4),
    }


def test_days_that_were_not_over(ledger: Ledger) -> None:
    """Of a day that was not over nothing is counted, and its first reading after that is the first that counts."""
    ledger.commit(read_on("2024-02-28", change("2024-02-28", 3, 3), change("2024-02-29")), NOW)
    assert arrivals(ledger) == {}
    ledger.commit(read_on("2024-02-29", change("2024-02-28", 5, 2)), NOW)
    ledger.commit(read_on("2024-03-01", change("2024-02-28", 6, 1), change("2024-02-29", 1, 1)), NOW)
    assert arrivals(ledger) == {
        ("2024-02-29", 1, 0): counted(1, 5, 2),
        ("2024-03-01", 2, 1): counted(1, 6, 1),
        ("2024-03-01", 1, 0): counted(1, 1, 1),
    }


def test_again_for_days_that_were_found(ledger: Ledger) -> None:
    """What was found in the landing zone was read before."""
    day = date(2024, 2, 28)
    ledger.take_over(ACCOUNT.id, {day: Known(1, complete=True)})
    ledger.commit(read_on("2024-03-02", change(str(day))), NOW)
    assert arrivals(ledger) == {("2024-03-02", 3, 1): counted(1)}


@pytest.mark.parametrize("read_before", [True, False])
def test_healed_days_are_not_late(read_before: bool, ledger: Ledger) -> None:
    """What a queued day brings is no arrival, and the day's next reading is one again."""
    day = date(2024, 2, 28)
    if read_before:
        ledger.commit(read_on("2024-03-01", change(str(day), 9, 9)), NOW)
    before = arrivals(ledger)
    ledger.queue(ACCOUNT.id, [day])
    ledger.commit(read_on("2024-03-02", change(str(day), 9, 9)), NOW)
    assert arrivals(ledger) == before
    ledger.commit(read_on("2024-03-03", change(str(day), 9)), NOW)
    assert arrivals(ledger) == before | {("2024-03-03", 4, 1): counted(1, 9)}


def test_full_disk(ledger: Ledger) -> None:
    """A commit for which there is no space records nothing, says so by its cause, and breaks nothing."""
    ledger.commit(published(), NOW)
    ledger.save_checkpoint(checkpoint(slice_of("2000-01-01", "2000-01-02")))
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    huge = slice_of("2000-01-01", "2023-12-31")
    attempts: list[Callable[[], None]] = [
        partial(ledger.commit, published(huge, run_id="run-2"), NOW),
        partial(ledger.queue, ACCOUNT.id, huge.window),
        partial(ledger.take_over, ACCOUNT.id, dict.fromkeys(huge.window, known())),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError, match=r"full.* Free some space"):
            attempt()
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    assert ledger.known(huge.window, [ACCOUNT.id]) == {}
    assert len(rows_of(ledger, "receipts")) == 1
    assert len(ledger.checkpoints()) == 1
    ledger.commit(published(huge, run_id="run-2"), NOW)
    assert len(ledger.known(huge.window, [ACCOUNT.id])[ACCOUNT.id]) == len(huge.window)


@pytest.mark.parametrize("how", ["ROLLBACK", "ABORT"])
@pytest.mark.parametrize("table", ["days", "receipts", "failures", "arrivals"])
def test_disk_that_fails_within_a_transaction(how: str, table: str, ledger: Ledger) -> None:
    """When a transaction fails, by itself or within, the cause is told, and nothing of it was recorded."""
    ledger.save_checkpoint(checkpoint())
    ledger.intend(published())
    ledger._db.execute(f"CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE({how}, 'it broke'); END")
    with pytest.raises(StorageError, match="it broke"):
        ledger.commit(published(status=Status.SHORT), NOW)
    for other in ("days", "receipts", "failures", "arrivals"):
        assert rows_of(ledger, other) == []
    assert ledger.checkpoints() == [checkpoint()]
    assert len(ledger.intended()) == 1
    ledger._db.execute("DROP TRIGGER broken")
    ledger.commit(published(status=Status.SHORT), NOW)
    assert ledger.intended() == []


@pytest.mark.anyio
async def test_commits_in_a_thread_while_the_loop_reads(ledger: Ledger) -> None:
    """A reader sees each commit whole or not at all, while another thread commits."""
    one = slice_of("2024-02-01", "2024-03-01")
    versions: set[int] = set()

    def write() -> None:
        for number in range(200):
            ledger.commit(published(one, calls=number, run_id=f"run-{number}"), NOW)
            ledger.count(MAIN, 1, NOW.timestamp(), spacing_s=0, going=True)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, write)
        while sum(ledger.sending(MAIN, NOW.timestamp()).by_minute.values()) < 200:
            seen = ledger.known(one.window, [ACCOUNT.id]).get(ACCOUNT.id, {})
            assert len(seen) in {0, len(one.window)}
            assert len({known.calls for known in seen.values()}) <= 1
            versions.update(known.calls for known in seen.values())
            await anyio.lowlevel.checkpoint()
    assert len(versions) > 1
    assert ledger.known(one.window, [ACCOUNT.id])[ACCOUNT.id] == dict.fromkeys(one.window, known(199))
