"""An API of a hundred thousand accounts that holds none of them: calls are made when they are asked for."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import anyio

from harvester.api.envelope import Request, Response

LATENCY_S: Final = 0.3
LEAST_A_DAY: Final = 0.03
MOST_A_DAY: Final = 300.0
_SECONDS: Final = 86_400


class ScarceApi:
    """Answers as the API would, newest calls first, cursor exclusive; holds nothing of an account.

    A `Transport`. How many calls an account has on a day follows from a hash of both.

    Attributes:
        worst_minute: The most requests of an app in a minute of the clock.
    """

    def __init__(self) -> None:
        self.worst_minute = 0
        self._minute = 0
        self._sent: Counter[str] = Counter()
        """In this minute, by app."""

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        given = dict(part.split("=", 1) for part in request.query.split("&"))
        self._count(given["access_token"])
        await anyio.sleep(LATENCY_S)
        account, size = int(given["account_id"]), int(given["page_size"])
        first, last = ordinal(given["start_date"]), ordinal(given["end_date"])
        counts = [calls_on(account, day) for day in range(first, last + 1)]
        total = sum(counts)
        after = given.get("search_after", "").replace("%3A", ":").replace("%20", " ")
        lines = ",".join(_page(account, first, counts, after, size)) if total else ""
        info = f'{{"page":1,"page_size":{size},"total_number":{total},"total_page":{-(-total // size)}}}'
        body = f'{{"code":0,"message":"","data":{{"page_info":{info},"entities":[{lines}]}}}}'
        return Response(200, {}, body.encode())

    def _count(self, app: str) -> None:
        minute = int(anyio.current_time() // 60)
        if minute > self._minute:
            self._minute = minute
            self._sent.clear()
        self._sent[app] += 1
        self.worst_minute = max(self.worst_minute, self._sent[app])


def ordinal(day: str) -> int:
    """The number of a day."""
    return datetime.fromisoformat(day).toordinal()


def chance(one: int, other: int) -> float:
    """A hash of two numbers, uniform in [0, 1)."""
    mixed = (one * 0x9E3779B97F4A7C15 + other * 0xC2B2AE3D27D4EB4F) & 0xFFFFFFFFFFFFFFFF
    mixed = ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 32) / 2**64


def calls_on(account: int, day: int) -> int:
    """How many calls an account has on a day: its mean, rounded up or down by chance."""
    mean = min(MOST_A_DAY, LEAST_A_DAY / (1.0 - chance(account, 0)))
    return int(mean + chance(account, day))


def _page(account: int, first: int, counts: list[int], after: str, size: int) -> Iterator[str]:
    """The calls before a second, the newest first; no two of an account's calls share a second."""
    for place in range(len(counts) - 1, -1, -1):
        day = datetime.fromordinal(first + place).date().isoformat()
        if not counts[place] or (after and day > after[:10]):
            continue
        for number in range(counts[place] - 1, -1, -1):
            second = (2 * number + 1) * _SECONDS // (2 * counts[place])  # none at 00:00:00, which shows nothing of ends
            start = f"{day} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
            if after and start >= after:
                continue
            yield f'{{"call_id":"{account}-{first + place}-{number}","call_start_time":"{start}"}}'
            size -= 1
            if not size:
                return
