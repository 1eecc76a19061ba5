"""A fast loopback server of calls, in a process of its own: `python -m tests.benchmarks.speed.server --accounts 200`.

It answers as the API's documents say (descending, the cursor exclusive), from entities made beforehand where they fit
into memory, on a bare asyncio protocol. Every call has a second of its own while there are enough of them, so that a
client with a naive cursor loses nothing and can be compared. It prints its base URL, answers `/stats` with its own CPU
seconds and the requests so far, and ends when its standard input does.
"""

import argparse
import asyncio
import datetime as dt
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

FIRST_ACCOUNT: Final = 100_000_001
_HELD_CALLS: Final = 1_500_000
"""So many entities are held in memory; of a larger world they are made when they are asked for, about 2 µs each."""
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - Beijing time on both sides: only differences matter
_DAY_S: Final = 86_400

_ENTITY: Final = (
    b'{"call_id":"clouspstn_16-%d-%d-%d","account_id":%d,"leads_id":%d,"caller":"0755-0000000","callee":"0755-1111111",'
    b'"call_direction":"CALL_DIRECTION_OUT","duration":%d,"call_start_time":"%b","call_end_time":"%b",'
    b'"ring_time":"%b","answer_time":"%b","end_status":0,'
    b'"call_record_url":"https://recordings.invalid/%d/%d.mp3?sign=0123456789abcdef0123456789abcdef&t=%d"}'
)
"""About 430 bytes, the 13 fields of the official page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Accounts whose calls are spread evenly over the days.

    Attributes:
        accounts: How many; ids go up from `FIRST_ACCOUNT`.
        calls: Of an account, on average.
        zipf: The exponent of the sizes; 0: all are equal.
        end: The last day.
        days: How many days have calls.
    """

    accounts: int
    calls: int
    zipf: float
    end: dt.date
    days: int

    @property
    def seconds(self) -> int:
        """Of all days."""
        return self.days * _DAY_S

    def calls_of(self, account: int) -> int:
        """How many calls an account has; 0 for one that is not there."""
        place = account - FIRST_ACCOUNT + 1
        if not 1 <= place <= self.accounts:
            return 0
        return round(self.calls * self.accounts / float(place**self.zipf) / _harmonic(self.accounts, self.zipf))

    def last_second(self) -> int:
        """The last second of the last day, counted from 1970 in Beijing."""
        return ((self.end - _EPOCH.date()).days + 1) * _DAY_S - 1

    def before(self, account: int, second: int) -> int:
        """How many calls of an account are later than a second: the place of the first that is not."""
        behind = self.last_second() - second
        return min(self.calls_of(account), max(0, -(-behind * self.calls_of(account) // self.seconds)))

    def entity(self, account: int, place: int) -> bytes:
        """The call at a place, 0 being the latest."""
        second = self.last_second() - place * self.seconds // self.calls_of(account)
        start, ring, answer, end = (_text(second + later) for later in (0, 3, 9, 70))
        number = account * 10_000_000 + place
        return _ENTITY % (second, account, place, account, number, 61, start, end, ring, answer, account, place, second)


@lru_cache(maxsize=4)
def _harmonic(accounts: int, exponent: float) -> float:
    return sum(1 / float(place**exponent) for place in range(1, accounts + 1))


def _text(second: int) -> bytes:
    day, rest = divmod(second, _DAY_S)
    return b"%b %02d:%02d:%02d" % (_date(day), rest // 3600, rest // 60 % 60, rest % 60)


@lru_cache(maxsize=1000)
def _date(day: int) -> bytes:
    return (_EPOCH + dt.timedelta(days=day)).date().isoformat().encode()


@lru_cache(maxsize=1000)
def _day(text: str) -> int:
    return (dt.date.fromisoformat(text) - _EPOCH.date()).days


def _second(text: str) -> int:
    return _day(text[:10]) * _DAY_S + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])


class Answers:
    """Makes the bodies."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._held: dict[int, list[bytes]] = {}
        if world.accounts * world.calls <= _HELD_CALLS:
            for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + world.accounts):
                self._held[account] = [world.entity(account, place) for place in range(world.calls_of(account))]

    def body(self, query: dict[str, str]) -> bytes:
        """The envelope for a request's parameters."""
        world, account, size = self._world, int(query["account_id"]), int(query["page_size"])
        first = world.before(account, (_day(query["end_date"]) + 1) * _DAY_S - 1)
        end = world.before(account, _day(query["start_date"]) * _DAY_S - 1)
        total = end - first
        if after := query.get("search_after"):
            first = max(first, world.before(account, _second(unquote_plus(after)) - 1))
        else:
            first += (int(query.get("page", "1")) - 1) * size
        end = min(end, first + size)
        held = self._held.get(account)
        some = held[first:end] if held else [world.entity(account, place) for place in range(first, end)]
        return (
            b'{"code":0,"message":"","message_cn":"","data":{"page_info":{"page":1,"page_size":%d,"total_number":%d,'
            b'"total_page":%d},"request_id":"0","entities":[%b]}}' % (size, total, -(-total // size), b",".join(some))
        )


class Connection(asyncio.Protocol):
    """One connection: requests without a body, one after the other."""

    requests = 0
    """Of all connections."""

    def __init__(self, body: Callable[[dict[str, str]], bytes]) -> None:
        self._body = body
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every whole request."""
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._answer(request))

    def _answer(self, request: bytes) -> bytes:
        target = request.split(b" ", 2)[1].decode()
        path, _, query = target.partition("?")
        if path == "/stats":
            usage = time.process_time()
            body = b'{"cpu_s":%f,"requests":%d}' % (usage, Connection.requests)
        else:
            Connection.requests += 1
            body = self._body(dict(one.split("=", 1) for one in query.split("&")))
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )


async def serve(world: World) -> None:
    """Serves until standard input ends."""
    answers = Answers(world)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers.body), "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--calls", type=int, default=1990, help="of an account, on average")
    parser.add_argument("--zipf", type=float, default=0.0, help="exponent of the accounts' sizes")
    parser.add_argument("--end", type=dt.date.fromisoformat, required=True, help="the last day, YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--core", type=int, help="stay on this core")
    given = parser.parse_args()
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    asyncio.run(
        serve(World(accounts=given.accounts, calls=given.calls, zipf=given.zipf, end=given.end, days=given.days))
    )


if __name__ == "__main__":
    main()
