"""How a run goes on: where it stands at any moment, and who is told of it. With nobody listening nothing is done.

What is still to come is summed up once, from the plan, in a thread beside the first requests; how fast it comes is
looked at once a second.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from math import inf
from typing import Final

import anyio
import anyio.to_thread

from harvester.api.quota import Reading
from harvester.api.tokens import Tokens
from harvester.events import Audience, Progressed, Waiting
from harvester.harvest.assignment import Assignment
from harvester.harvest.books import Books
from harvester.harvest.meter import Meter
from harvester.harvest.preview import Over, sums_of
from harvester.landing.ledger import Ledger
from harvester.model import AppName
from harvester.report.forecast import Forecast
from harvester.report.remaining import AppsWork, left_s
from harvester.standing import AppStanding, Stage, Standing, Wait

_TICK_S: Final = 1.0
_WINDOW_S: Final = 60.0
"""Of so much time the pace is taken…"""
_LEAST_SHARE: Final = 0.05
_ENOUGH_S: Final = 5.0
_ENOUGH: Final = 5
"""… when it is at least so long, with at least so many requests."""


class Progress:
    """What a run shows of itself while it goes on.

    Args:
        assignment: What it does.
        ledger: What is known; read for the forecast.
        books: What it has done.
        audience: Who listens.

    Attributes:
        stage: What it is at.
        meter: Its quotas, once there are any.
        tokens: Its tokens, likewise.
    """

    def __init__(self, assignment: Assignment, ledger: Ledger, books: Books, audience: Audience) -> None:
        self.stage = Stage.LISTING
        self.meter: Meter | None = None
        self.tokens: Tokens | None = None
        self._assignment = assignment
        self._ledger = ledger
        self._books = books
        self._audience = audience
        self._began = anyio.current_time()
        self._forecast: Forecast | None = None
        self._over = False
        self._told: set[tuple[str | None, str | None, str]] = set()
        """The waits that go on and that were told of."""
        self._paces: dict[AppName, deque[tuple[float, int]]] = {}
        """How much each app had sent, by loop time, since it last waited."""

    def reads(self, assignment: Assignment, meter: Meter) -> None:
        """From here on slices are read."""
        self.stage, self._assignment, self.meter = Stage.READING, assignment, meter

    def ends(self) -> None:
        """Nothing is read any more."""
        self.stage, self._over = Stage.ENDING, True

    async def watch(self) -> None:
        """Tells of waits, and every so often of the standing, until it is cancelled."""
        audience = self._audience
        if audience.tell is None:
            return
        every_s = inf if audience.every_s is None else audience.every_s
        next_at = self._began + every_s
        while True:
            await anyio.sleep(min(_TICK_S, max(0.0, next_at - anyio.current_time())))
            self._look()
            if anyio.current_time() >= next_at:
                next_at = max(next_at + every_s, anyio.current_time())
                self.tell()

    def tell(self, *, asked: bool = False) -> None:
        """Tells where it stands."""
        if self._audience.tell:
            self._books.tell(Progressed(standing=self.standing(), asked=asked))

    async def look_ahead(self) -> None:
        """Sums up what is to come. Cancellation: it is given up at the next slice. Raises `StorageError`."""
        if self._audience.tell is None:
            return
        is_over = lambda: self._over  # noqa: E731 - a name would say no more
        try:
            work = partial(sums_of, self._assignment, self._ledger, is_over)
            self._forecast = (await anyio.to_thread.run_sync(work)).forecast
        except Over:
            return

    def _look(self) -> None:
        """Takes the pace, and tells of waits that are new."""
        waits, now = self._waits(), anyio.current_time()
        keys = {(one.app, one.token, one.why) for one in waits}
        for one in waits:
            if (one.app, one.token, one.why) not in self._told:
                self._books.tell(Waiting(why=one.why, app=one.app, token=one.token, until=one.until))
        self._told = keys
        if self.meter is None:
            return
        held_up = {one.app for one in waits}
        for app, sent in self.meter.sent.items():
            pace = self._paces.setdefault(app, deque())
            if app in held_up or None in held_up:
                pace.clear()
            else:
                pace.append((now, sent))
            while pace and pace[0][0] < now - _WINDOW_S:
                pace.popleft()

    def _waits(self) -> list[Wait]:
        return [*(self.meter.waits if self.meter else ()), *(self.tokens.waits if self.tokens else ())]

    def standing(self) -> Standing:
        """Where it stands."""
        books, report, forecast = self._books, self._books.report, self._forecast
        readings = self.meter.readings if self.meter else {}
        waits = tuple(self._waits())
        works = dict(self._works(readings, waits, forecast)) if forecast else {}
        done, requests = sum(report.slices.values()), sum(one.sent for one in readings.values())
        return Standing(
            run_id=report.run_id,
            stage=self.stage,
            start=report.window.start,
            end=report.window.end,
            accounts=report.accounts,
            elapsed_s=round(anyio.current_time() - self._began, 1),
            slices_done=done,
            slices_open=len(books.open),
            slices_expected=max(forecast.slices, done + len(books.open)) if forecast else None,
            calls=report.calls,
            calls_expected=_calls(forecast, works, report.calls) if forecast else None,
            requests=requests,
            requests_expected=round(sum(one.total for one in works.values())) if forecast else None,
            at_least=_is_least(forecast, works),
            left_s=self._left_s(works, requests) if forecast else None,
            apps=tuple(_app(app, reading, works.get(app)) for app, reading in readings.items()),
            waits=waits,
            slowed=self.meter.slowed if self.meter else (),
            failed=len(report.troubles),
            causes=books.causes,
        )

    def _works(
        self, readings: Mapping[AppName, Reading], waits: tuple[Wait, ...], forecast: Forecast
    ) -> Iterator[tuple[AppName, AppsWork]]:
        books, open_by_app = self._books, [one.account.app for one in self._books.open]
        for app, reading in readings.items():
            slices = len(forecast.costs.get(app, ()))
            yield (
                app,
                AppsWork(
                    expected=forecast.requests(app),
                    settled=books.settled[app],
                    took=books.took[app],
                    sent=reading.sent,
                    slices_left=max(slices - books.ended_by_app[app], open_by_app.count(app)),
                    spacing_s=reading.spacing_s and reading.spacing_s / max(_LEAST_SHARE, 1 - reading.others),
                    pace_s=_pace_s(self._paces.get(app)),
                    wait_s=_wait_s(app, waits, reading),
                ),
            )

    def _left_s(self, works: dict[AppName, AppsWork], requests: int) -> float | None:
        budget, time_s = self._assignment.max_requests, self._assignment.max_duration_s
        return left_s(
            works.values(),
            requests_left=None if budget is None else budget - requests,
            time_left_s=None if time_s is None else time_s - (anyio.current_time() - self._began),
        )


def _pace_s(samples: deque[tuple[float, int]] | None) -> float | None:
    """Seconds between two requests lately; `None` while too little was seen."""
    if not samples:
        return None
    took_s, sent = samples[-1][0] - samples[0][0], samples[-1][1] - samples[0][1]
    return took_s / sent if took_s >= _ENOUGH_S and sent >= _ENOUGH else None


def _wait_s(app: AppName, waits: tuple[Wait, ...], reading: Reading) -> float | None:
    """Seconds for which an app sends nothing; `None` when nobody knows."""
    mine = [one for one in waits if one.token is None and one.app in {None, app}]
    if not mine:
        return 0.0
    if reading.wait is None or reading.wait.until == inf or any(one.app is None for one in mine):
        return None  # the API is down: whether its next probe is answered is not known
    return max(0.0, reading.wait.until - anyio.current_time())


def _calls(forecast: Forecast, works: Mapping[AppName, AppsWork], landed: int) -> int | None:
    """About how many calls will be there in the end; where nothing was known, as many a request as came so far."""
    if not forecast.blind_days:
        return max(round(forecast.calls), landed)
    took = sum(one.took for one in works.values())
    if not took or not all(one.is_learned for one in works.values()):
        return None
    return max(landed, round(landed * sum(one.total for one in works.values()) / took))


def _is_least(forecast: Forecast | None, works: dict[AppName, AppsWork]) -> bool:
    """Whether what is expected may well be more: until enough has ended to learn from."""
    return bool(forecast and forecast.blind_days) and not all(one.is_learned for one in works.values())


def _app(app: AppName, reading: Reading, work: AppsWork | None) -> AppStanding:
    return AppStanding(
        app=app,
        requests=reading.sent,
        expected=round(work.total) if work else None,
        last_minute=reading.last_minute,
        per_minute=reading.per_minute,
        others=round(reading.others, 3),
    )
