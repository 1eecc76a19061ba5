import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf

import anyio
import pytest
from anyio.lowlevel import checkpoint

from harvester.api.decisions import GO, Decision, Over, Wait
from harvester.api.quota import Limit, Limits, Permit, Quota
from harvester.api.traffic import Budget, Traffic
from harvester.api.traffic.circuit import Failed
from harvester.errors import QuotaSpent
from harvester.model import AccountId
from harvester.usage import Pause
from tests.api.helpers import APP, NOW_S
from tests.virtual_time import PureVirtualTimeLoop

pytestmark = pytest.mark.anyio
LATE = Over("the run's time (--max-duration) is over")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """No sockets and no threads: time jumps at once."""
    return "asyncio", {"loop_factory": PureVirtualTimeLoop}


@pytest.fixture(autouse=True)
def _in_shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own zone, in which people are told the time: the run begins at 08:00:00."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        yield
    time.tzset()


def traffic_of(
    in_flight: int = 8,
    *,
    budget: Budget | None = None,
    patience_s: float | None = 1800.0,
) -> Traffic:
    """A wall clock that goes with the loop."""
    return Traffic(in_flight, lambda: NOW_S + anyio.current_time(), budget=budget, patience_s=patience_s)


def nobody(permit_at: float = 0.0, text: str = "nobody is there") -> Failed:
    """An attempt that found nobody to connect to."""
    return Failed(account_id=AccountId(1), permit_at=permit_at, unreachable=True, text=text)


def bring_down(traffic: Traffic) -> None:
    """Three attempts in a row find nobody."""
    for _ in range(3):
        traffic.failed(nobody())


def told(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """What people were told so far."""
    return [one.getMessage() for one in caplog.records if one.levelno >= level]


class TestWhatPeopleAreTold:
    """While it waits, and afterwards."""

    async def test_what_an_app_waits_for(self, caplog: pytest.LogCaptureFixture) -> None:
        """And until when, by the machine's own clock."""
        await anyio.sleep(12_000)
        quota = Quota(APP, Limits(), traffic_of())
        await anyio.sleep(800)
        quota.refused(Permit(12_800), Limit.MINUTE, "code 11017, the limit per minute")
        wait = quota.reading.wait
        assert wait is not None
        assert quota.traffic.told(wait) == "waiting: minute quota of app main, until 11:34:20"
        assert f"{quota.traffic.moment(wait.until):%T}" == "11:34:20"
        async with quota.permit():
            pass
        assert anyio.current_time() == 12_860
        warning = "waiting: minute quota of app main, until 11:34:20 (code 11017, the limit per minute)"
        assert told(caplog) == [warning]
        assert quota.notes() == ["app main: the API refused requests for the minute quota once (code 11017)"]

    async def test_what_all_apps_wait_for(self) -> None:
        """While the API is down: the next probe, or the answer to one that is under way."""
        traffic = traffic_of()
        said: list[str | None] = []

        def look() -> None:
            said.append(traffic.told(traffic.wait) if traffic.wait else None)

        look()
        bring_down(traffic)
        look()
        await anyio.sleep(2)
        look()
        traffic.granted(2.0)
        look()
        traffic.answered(0.1, anyio.current_time())
        look()
        assert said == [
            None,
            "waiting: the API, which is down, until 08:00:02",
            None,
            "waiting: an answer of the API, which is down",
            None,
        ]

    async def test_an_outage_is_told_at_its_beginning_and_its_end(self, caplog: pytest.LogCaptureFixture) -> None:
        """With its length, its cause, and when the run would have ended; and noted for afterwards."""
        await anyio.sleep(60)
        traffic = traffic_of()
        for _ in range(4):
            traffic.failed(nobody(60.0))
        await anyio.sleep(1_200)
        traffic.answered(0.3, anyio.current_time())
        traffic.answered(0.3, anyio.current_time())
        assert told(caplog) == [
            "the API is down: 3 attempts in a row failed, the last one: nobody is there",
            "one probe at a time, until 08:31:00 if none is answered",
            "the API was down for 1,200 s; it answers again",
        ]
        assert traffic.notes == ["the API was down for 1,200 s, since 08:01:00: nobody is there"]

    async def test_pauses(self) -> None:
        """A refusal and an outage are kept with their times; one that goes on, up to now; a second is none."""
        await anyio.sleep(60)
        traffic = traffic_of()
        quota = Quota(APP, Limits(), traffic)
        quota.refused(Permit(60.0), Limit.SECOND, "code 11016")
        assert traffic.pauses == []
        quota.refused(Permit(60.0), Limit.MINUTE, "code 11017")
        begun = traffic.wall()
        refused = Pause(app=APP, since=begun, until=begun + 60, why="minute quota")
        assert traffic.pauses == [refused]
        await anyio.sleep(100)
        for _ in range(3):
            traffic.failed(nobody(160.0))
        await anyio.sleep(5)
        down = Pause(app=None, since=begun + 100, until=begun + 105, why="the API is down")
        assert traffic.pauses == [refused, down]
        await anyio.sleep(5)
        traffic.answered(0.3, anyio.current_time())
        await anyio.sleep(50)
        assert traffic.pauses == [refused, replace(down, until=begun + 110)]

    async def test_an_outage_has_one_beginning(self) -> None:
        """However the wall's clock goes beside the loop's: what the ledger knows it by does not change."""
        traffic = Traffic(8, lambda: NOW_S + 1.01 * anyio.current_time(), patience_s=None)
        await anyio.sleep(10)
        for _ in range(3):
            traffic.failed(nobody(10.0))
        begun = set()
        for _ in range(5):
            begun |= {one.since for one in traffic.pauses}
            await anyio.sleep(20)
        traffic.answered(0.3, anyio.current_time())
        assert {one.since for one in traffic.pauses} == begun == {round(NOW_S + 10.1, 1)}

    async def test_a_few_failures_are_not_worth_telling(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nor that they are over."""
        traffic = traffic_of()
        traffic.failed(nobody())
        traffic.answered(0.3, anyio.current_time())
        assert told(caplog, logging.INFO) == traffic.notes == []

    async def test_without_patience_no_end_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        """Since there is none."""
        bring_down(traffic_of(patience_s=None))
        assert told(caplog) == ["the API is down: 3 attempts in a row failed, the last one: nobody is there"]

    async def test_fewer_places_are_told_with_their_reason(self, caplog: pytest.LogCaptureFixture) -> None:
        """Slow or failing; more places are nothing to tell."""
        traffic = traffic_of(2)
        for took_s in [0.1] * 9 + [30.0] * 9:
            traffic.answered(took_s, 0.0)
        assert told(caplog, logging.INFO) == []
        traffic = traffic_of(8)
        for took_s in [0.1] * 9 + [30.0] * 9:
            traffic.answered(took_s, 0.0)
        assert told(caplog, logging.INFO) == ["5 requests in flight at most: the API is slow"]
        traffic = traffic_of(8)
        for number in range(18):
            traffic.failed(Failed(account_id=AccountId(1), permit_at=float(number)))
        assert told(caplog, logging.INFO)[1:] == ["5 requests in flight at most: the API is failing"]

    async def test_a_wait_without_a_reason_is_not_told(self) -> None:
        """It is too short for that."""
        assert traffic_of().told(Wait(5.0)) is None
        assert traffic_of().told(Wait(3_600.0, "the moon")) == "waiting: the moon, until 09:00:00"
        assert traffic_of().told(Wait(inf, "the moon")) == "waiting: the moon"


class TestDeadline:
    """The end of the run's time."""

    @pytest.mark.parametrize(
        ("decision", "expected"),
        [
            (GO, GO),
            (Wait(49.9), Wait(49.9)),
            (Wait(50.0), LATE),
            (Wait(50.0, "a pause"), Over("the run's time (--max-duration) would end while it waits for a pause")),
            (Wait(inf), Wait(inf)),
            (Over("the day"), Over("the day")),
        ],
    )
    async def test_a_wait_beyond_it_is_none(self, decision: Decision, expected: Decision) -> None:
        """Only an answer that is under way is waited for, as nobody knows how long that takes."""
        assert traffic_of(budget=Budget(deadline=50.0)).in_time(decision) == expected
        assert traffic_of().in_time(decision) == decision

    async def test_nothing_is_sent_after_it(self) -> None:
        """Nor beyond the budget of requests."""
        traffic = traffic_of(budget=Budget(deadline=50.0, requests_left=2))
        assert traffic.decide(49.0) == GO
        assert traffic.decide(50.0) == LATE
        traffic.granted(1.0)
        traffic.granted(1.0)
        assert traffic.decide(49.0) == Over("the run's budget of requests (--max-requests) is used up")

    async def test_a_retry_that_would_come_too_late_is_none(self) -> None:
        """It ends at once."""
        traffic = traffic_of(budget=Budget(deadline=50.0))
        await traffic.retry_turn(49.0)
        with pytest.raises(QuotaSpent, match="--max-duration"):
            await traffic.retry_turn(1.0)
        assert anyio.current_time() == 49


class TestLedger:
    """What is sent has to be reckoned with after a crash."""

    async def test_nothing_is_sent_beyond_what_the_ledger_was_told(self) -> None:
        """Those who wait for that go on as soon as it is."""
        traffic, went_at = traffic_of(), list[float]()
        quota = Quota(APP, Limits(), traffic)
        traffic.extend(10.0)

        async def ask() -> None:
            while anyio.current_time() < 40:
                async with quota.permit() as permit:
                    went_at.append(permit.at)
                    await anyio.sleep(4)
                    quota.answered(permit, None)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(30)
            assert traffic.decide(30.0) == Wait(inf, "the ledger, which has to be told what was sent")
            traffic.extend(60.0)
        assert went_at == [0, 4, 8, 30, 34, 38]


class TestRetries:
    """Their turn comes after the backoff, and after what the budget of retries needs."""

    async def test_the_longer_wait_counts(self) -> None:
        """The first fifty wait for their backoff only, the next ones for their turn."""
        traffic, went_at = traffic_of(), list[float]()

        async def retry(backoff_s: float) -> None:
            await traffic.retry_turn(backoff_s)
            went_at.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(retry, 0.5)
            for _ in range(5):
                await checkpoint()
            for _ in range(3):
                tasks.start_soon(retry, 1.5)
        assert went_at == pytest.approx([0.5] * 50 + [1.5, 2.0, 3.0])


class TestHealth:
    """Up and down."""

    async def test_it_is_down_for_all_and_up_for_all(self) -> None:
        """Another app's answer counts; whoever waits is woken."""
        traffic, woken = traffic_of(), list[float]()
        before = traffic.is_down
        bring_down(traffic)
        assert (before, traffic.is_down) == (False, True)
        assert traffic.decide(1.0) == Wait(2.0, "the API, which is down")

        async def wait() -> None:
            await traffic.moved()
            woken.append(anyio.current_time())

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.sleep(5)
            traffic.answered(0.1, anyio.current_time())
        assert woken == [5.0] * 3
        assert traffic.decide(5.0) == GO

    async def test_patience_ends(self) -> None:
        """With the last attempt's words."""
        traffic = traffic_of()
        bring_down(traffic)
        await anyio.sleep(1_800)
        traffic.granted(1_800.0)
        traffic.failed(nobody(1_800.0, "still nobody"))
        assert traffic.decide(1_800.0) == Over("the API has not answered for 30 min, the last attempt: still nobody")

    async def test_a_dropped_probe_wakes_those_who_wait(self) -> None:
        """One of them is the next probe."""
        traffic = traffic_of()
        bring_down(traffic)
        await anyio.sleep(2)
        traffic.granted(2.0)
        assert traffic.decide(2.0) == Wait(inf, "an answer of the API, which is down")
        traffic.unanswered(2.0)
        assert traffic.decide(2.0) == GO

    async def test_a_slow_api_gives_fewer_places(self) -> None:
        """Those that are taken stay taken until they are given back."""
        traffic, entered = traffic_of(8), 0
        for took_s in [0.1] * 20 + [30.0] * 60:
            traffic.answered(took_s, 0.0)

        async def enter() -> None:
            nonlocal entered
            await traffic.enter()
            entered += 1

        with anyio.move_on_after(10):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(enter)
        assert entered == 2
