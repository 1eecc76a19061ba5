"""What a call costs on its way, stage by stage: `python -m tests.benchmarks.hotpath`. CPU time, best of several rounds.

To see where a whole run's time goes, point it at a fast server (`python -m tests.benchmarks.speed.server`), and:

* by function, of the event loop's thread, where pages are read and walks go on:
  `python -m cProfile -s tottime -m harvester run CONFIG --quiet --no-progress | head -50`
* with what C code and the system do, and with all threads, those that compress and sync among them:
  `perf record -F 999 -g -- python -m harvester run CONFIG --quiet --no-progress`, then `perf report --no-children`
  (with Python 3.12 or newer, `python -X perf` shows Python's functions by name)
* what the system is asked for: `strace -c -f python -m harvester run CONFIG --quiet --no-progress`

Let the landing zone be new each time, and the disk at rest: ext4 makes files slowly for some seconds after others were
removed, which looks like harvester's own time.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Final

import anyio
import orjson

from harvester.calls import Calls
from harvester.disk import make_directory
from harvester.harvest.queue import Queue
from harvester.landing.landed import digest_if_same
from harvester.landing.merge import each_once
from harvester.landing.ndjson import compressing, read_blocks
from harvester.landing.part import Part
from harvester.landing.partition import Zone
from harvester.landing.publish import Reading, carry_out, prepare
from harvester.landing.runs import Gathered, Run
from harvester.model import Account, AccountId, AppName, Batch, Slice, TokenName, Window
from harvester.record import read_records, read_text

CALLS: Final = 1000
"""Of a page."""
A_DAY: Final = 284
DAY: Final = "2024-02-29"
_ROUNDS: Final = 7
_ROUND_S: Final = 0.05


def lines_of(count: int, *, days: int) -> list[bytes]:
    """Calls as the API sends them, the latest first, 400 bytes each."""
    chance = Random(1)  # noqa: S311 - not for secrets
    first, seconds = date.fromisoformat(DAY).toordinal() - days + 1, days * 86400
    starts = sorted(chance.sample(range(seconds), count), reverse=True)
    return [bytes(memoryview(orjson.dumps(_fields(chance, first, start)))) for start in starts]


def _fields(chance: Random, first: int, second: int) -> dict[str, object]:
    day, clock = date.fromordinal(first + second // 86400), second % 86400
    return {
        "account_id": 100000001,
        "call_id": str(chance.randrange(10**15, 10**16)),
        "call_start_time": f"{day} {clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}",
        "caller": f"1{chance.randrange(10**10):010}",
        "callee": f"1{chance.randrange(10**10):010}",
        "duration": chance.randrange(600),
        "call_record_url": f"https://example.com/recordings/{chance.getrandbits(128):032x}.mp3",
        "status": "CONNECTED",
        "campaign_id": chance.randrange(10**9),
        "region": "广东省 深圳市",
        "memo": "x" * 60,
    }


def cost_us(work: Callable[[], object], calls: int) -> float:
    """CPU time of all threads, in µs a call."""
    work()
    best = float("inf")
    for _ in range(_ROUNDS):
        times, began = 0, time.process_time()
        while (took_s := time.process_time() - began) < _ROUND_S:
            work()
            times += 1
        best = min(best, took_s / times)
    return best / calls * 1e6


def stages(folder: Path) -> Iterator[tuple[str, Callable[[], object], int]]:
    """Each stage: its name, the work, and of how many calls that is."""
    lines = lines_of(CALLS, days=4)
    page = read_records(lines)
    assert page is not None
    yield "parse a page's keys", lambda: read_records(lines), CALLS
    yield "dedupe", lambda: list(each_once([page])), CALLS
    yield "split by day", lambda: list(page.by_day()), CALLS
    yield "order, and split by day", lambda: list(page.days_in_order()), CALLS
    yield "join", page.lines_joined, CALLS
    yield "collect (order, split, join, remember ids)", lambda: Part(folder / "7.part", date.max).add(page), CALLS
    yield "hand over by the queue, a page", lambda: anyio.run(_handed_over, page, 100), CALLS * 100
    day = read_records(lines_of(A_DAY, days=1))
    assert day is not None
    text, path = day.in_order().lines_joined(), folder / "calls.ndjson.zst"
    yield "compress a day", lambda: list(compressing([text], ".zst")), A_DAY
    path.write_bytes(b"".join(compressing([text], ".zst")))
    packed = path.read_bytes()
    yield "digest of a day", lambda: blake2b(packed, digest_size=16).digest(), A_DAY
    yield "decompress a day", lambda: list(read_blocks(path)), A_DAY
    yield "compare with a day's file", lambda: digest_if_same(path, [text]), A_DAY
    yield "read a day back", lambda: read_text(text), A_DAY
    yield from _publishing(folder, day)


def _publishing(folder: Path, day: Calls) -> Iterator[tuple[str, Callable[[], object], int]]:
    zone = Zone(folder, "zstd")
    make_directory(zone.scratch)
    numbers = iter(range(1, 10**9))

    def publish(account: int, *runs: Calls) -> None:
        gathered = Gathered.of([Run(run.in_order()) for run in runs])
        reading = Reading(account=AccountId(account), day=date.fromisoformat(DAY), gathered=gathered, complete=True)
        carry_out(zone, prepare(zone, reading))

    yield "publish a new day (one thread)", lambda: publish(next(numbers), day), A_DAY
    publish(10**9, day)
    yield "publish a day that has not changed", lambda: publish(10**9, day), A_DAY
    overlapping = (day[::2], day[1::2])
    yield "publish a new day whose runs overlap", lambda: publish(next(numbers), *overlapping), A_DAY


async def _handed_over(page: Calls, times: int) -> None:
    queue, one = Queue(), _slice()

    async def put() -> None:
        for _ in range(times):
            await queue.put(Batch(slice=one, calls=page, strays=(), size_bytes=500_000))
        queue.close()

    async with anyio.create_task_group() as both:
        both.start_soon(put)
        while await queue.get():
            pass


def _slice() -> Slice:
    day = date.fromisoformat(DAY)
    account = Account(id=AccountId(1), token=TokenName("t"), app=AppName("a"))
    return Slice(account, Window(day, day))


def main() -> None:
    """Prints a table."""
    print("| stage | µs a call |\n|---|---|")
    with tempfile.TemporaryDirectory(prefix="harvester-") as name:
        for stage, work, calls in stages(Path(name)):
            print(f"| {stage} | {cost_us(work, calls):.3f} |", flush=True)


if __name__ == "__main__":
    main()
