from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.landing.ledger import Known, Ledger
from harvester.model import AccountId, AppName, Receipt, Status
from harvester.usage import HEARTBEAT_S, MINUTES_KEPT, Experience, Sending
from tests.landing.helpers import ACCOUNT, account, rows_of, slice_of
from tests.landing.test_ledger import NOW, published

MAIN, OTHER = AppName("main"), AppName("other")
AT = NOW.timestamp()
MINUTE = int(AT // 60)
DAY_S = 86400.0
TICK_S = 1 / 8
"""Times of the properties are multiples of it: sums of them are exact."""
SILENT_TICKS = int(2 * HEARTBEAT_S / TICK_S)
Opening = Callable[[], Ledger]


@pytest.fixture
def opened(tmp_path: Path) -> Opening:
    """Opens the ledger as the next run does."""
    return lambda: Ledger.open(tmp_path)


def tell(ledger: Ledger, requests: int, at: float, spacing_s: float = 0.5, *, going: bool = True) -> None:
    """Counts for the only app."""
    ledger.count(MAIN, requests, at, spacing_s=spacing_s, going=going)


def minutes_of(ledger: Ledger) -> dict[int, int]:
    """What the only app sent, as it is on disk."""
    return {one["minute"]: one["requests"] for one in rows_of(ledger, "usage") if one["app"] == MAIN}


@pytest.mark.parametrize("second", [0.0, 59.9])
@pytest.mark.parametrize(
    ("minutes_later", "by_minute"),
    [
        (1, {MINUTE: 3, MINUTE + 1: 9}),
        (1440, {MINUTE: 3, MINUTE + 1: 9}),
        (1441, {MINUTE + 1: 9}),
        (1442, {}),
        (10**6, {}),
    ],
)
def test_minutes(minutes_later: int, second: float, by_minute: dict[int, int], opened: Opening) -> None:
    """A request counts for its app, over restarts, until the end of its minute is 24 hours old."""
    with opened() as ledger:
        tell(ledger, 3, AT + 59)
        tell(ledger, 4, AT + 60)
        tell(ledger, 5, AT + 90, going=False)
        ledger.count(OTHER, 100, AT, spacing_s=1, going=False)
    with opened() as ledger:
        at = AT + 60 * minutes_later + max(second, 30)
        assert ledger.sending(MAIN, at).by_minute == by_minute
        assert ledger.sending(AppName("unknown"), at) == Sending()


def test_clean_end(opened: Opening) -> None:
    """Of a run that told of its end nothing is assumed: it sent nothing after its last word."""
    with opened() as ledger:
        tell(ledger, 0, AT)
        tell(ledger, 7, AT + 5, 0.25, going=False)
    with opened() as ledger:
        assert ledger.sending(MAIN, AT + 9) == Sending(by_minute={MINUTE: 7}, last_at=AT + 5, spacing_s=0.25)


@pytest.mark.parametrize(
    ("later_s", "spacing_s", "assumed", "until_s"),
    [
        (0, 0.5, {}, 0),
        (0.1, 0.5, {MINUTE: 1}, 0.1),
        (3, 0.5, {MINUTE: 6}, 3),
        (3, 0.7, {MINUTE: 5}, 3),
        (20, 0.5, {MINUTE + 1: 40}, 20),
        (21, 0.5, {MINUTE + 1: 40}, 20),
        (20, 60, {MINUTE + 1: 1}, 20),
        (20, 0, {}, 20),
        (DAY_S - 60, 0.5, {MINUTE + 1: 40}, 20),
    ],
)
def test_killed(later_s: float, spacing_s: float, assumed: dict[int, int], until_s: float, opened: Opening) -> None:
    """A run without a last word may have sent on at its spacing, for twice the time between two words, until now."""
    told_at = AT + 45
    with opened() as ledger:
        tell(ledger, 7, AT - 60, spacing_s)
        tell(ledger, 0, told_at, spacing_s)
    with opened() as ledger:
        expected = Sending(by_minute={MINUTE - 1: 7} | assumed, last_at=told_at + until_s, spacing_s=spacing_s)
        assert ledger.sending(MAIN, told_at + later_s) == expected
        assert minutes_of(ledger) == {MINUTE - 1: 7}  # looking changes nothing


def test_what_is_assumed_stays(opened: Opening) -> None:
    """What is assumed of a killed run is written down by the next one's first word, once, for each of them."""
    with opened() as ledger:
        tell(ledger, 7, AT)
    with opened() as ledger:
        tell(ledger, 0, AT + 600)
        assert ledger.sending(MAIN, AT + 600).by_minute == {MINUTE: 7 + 40}
        tell(ledger, 1, AT + 610)
        tell(ledger, 1, AT + 660)
    with opened() as ledger:
        tell(ledger, 0, AT + 663)
        tell(ledger, 0, AT + 663, going=False)
    with opened() as ledger:
        assert ledger.sending(MAIN, AT + 1000).by_minute == {MINUTE: 47, MINUTE + 10: 1, MINUTE + 11: 1 + 6}


def test_sent_long_ago(opened: Opening) -> None:
    """When its last request does not count any more an app has sent nothing; what was assumed is forgotten with it."""
    with opened() as ledger:
        tell(ledger, 7, AT)
    with opened() as ledger:
        last_counted = AT + 20 + DAY_S + 60
        assert ledger.sending(MAIN, last_counted).last_at == AT + 20
        assert ledger.sending(MAIN, last_counted + 1).last_at is None
        assert ledger.sending(MAIN, last_counted + 1).by_minute == {}
        assert ledger.sending(MAIN, AT + 60 * 1440 + 59).by_minute == {MINUTE: 47}
        assert ledger.sending(MAIN, AT + 60 * 1441).by_minute == {}


@pytest.mark.parametrize("back_s", [0.5, 3600, 100 * DAY_S])
@pytest.mark.parametrize("going", [True, False])
def test_clock_set_back(going: bool, back_s: float, opened: Opening) -> None:
    """What lies ahead counts as of now, and a run that was killed then is assumed to have sent for the longest time."""
    with opened() as ledger:
        tell(ledger, 3, AT - 1)
        tell(ledger, 7, AT, going=going)
    with opened() as ledger:
        now = AT - back_s
        sending = ledger.sending(MAIN, now)
        assert sending == Sending(by_minute={int(now // 60): 10 + 40 * going}, last_at=now, spacing_s=0.5)


def test_clock_set_back_for_good(opened: Opening) -> None:
    """What lies more than a day ahead ages from the next run's first word on, as all of what is assumed does."""
    back = AT - 100 * DAY_S
    with opened() as ledger:
        tell(ledger, 7, AT)
    with opened() as ledger:
        tell(ledger, 1, back, going=False)
        assert minutes_of(ledger) == {int(back // 60): 7 + 40 + 1}
        assert ledger.sending(MAIN, back + 60 * 1440).by_minute == {int(back // 60): 48}
        assert ledger.sending(MAIN, back + 60 * 1441).by_minute == {}


def test_clock_that_was_ahead(opened: Opening) -> None:
    """When a clock that was hours ahead is set back nothing was forgotten."""
    with opened() as ledger:
        tell(ledger, 7, AT)
        tell(ledger, 2, AT + 0.9 * DAY_S)
        tell(ledger, 1, AT + 1.9 * DAY_S)
        tell(ledger, 0, AT + 600, going=False)
        assert sum(ledger.sending(MAIN, AT + 600).by_minute.values()) == 10


def test_minutes_are_forgotten(ledger: Ledger) -> None:
    """The ledger does not grow: of each app it keeps the minutes of two days."""
    ledger.count(OTHER, 9, AT, spacing_s=0, going=False)
    for minute in range(0, 4 * MINUTES_KEPT, 7):
        tell(ledger, 1, AT + 60 * minute)
    kept = minutes_of(ledger)
    assert len(kept) == 2 * MINUTES_KEPT // 7 + 1
    assert max(kept) - min(kept) < 2 * MINUTES_KEPT
    assert ledger.sending(OTHER, AT).by_minute == {MINUTE: 9}


def test_word_that_is_not_written(opened: Opening) -> None:
    """A word that fails is as if it had not been said; said again, it still writes down what is assumed."""
    with opened() as ledger:
        tell(ledger, 7, AT)
    with opened() as ledger:
        before = ledger.sending(MAIN, AT + 300)
        ledger._db.execute("CREATE TRIGGER broken BEFORE UPDATE ON apps BEGIN SELECT RAISE(ABORT, 'it broke'); END")
        with pytest.raises(StorageError, match="it broke"):
            tell(ledger, 1, AT + 300)
        assert ledger.sending(MAIN, AT + 300) == before
        ledger._db.execute("DROP TRIGGER broken")
        tell(ledger, 1, AT + 300)
        assert ledger.sending(MAIN, AT + 300).by_minute == {MINUTE: 47, MINUTE + 5: 1}


def test_word_while_someone_looks(ledger: Ledger) -> None:
    """Whoever only looks sees the last word, and cannot say one."""
    peeked = Ledger.peek(ledger.path.parent)
    assert peeked is not None
    with peeked:
        tell(ledger, 7, AT, 0)
        assert peeked.sending(MAIN, AT).by_minute == {MINUTE: 7}
        with pytest.raises(StorageError):
            tell(peeked, 1, AT)


@pytest.mark.parametrize(("later", "learned"), [(0, 300), (29, 300), (30, None), (-29, 300), (-31, None)])
def test_learning(later: int, learned: int | None, opened: Opening) -> None:
    """A quota that was learned is known for 30 days, whether or not the app has sent anything."""
    with opened() as ledger:
        ledger.learn(MAIN, 200, AT - 5 * DAY_S)
        assert ledger.sending(MAIN, AT) == Sending(learned_per_minute=200)
        tell(ledger, 1, AT, going=False)
        ledger.learn(MAIN, 300, AT)
        ledger.learn(OTHER, 7, AT)
    with opened() as ledger:
        sending = ledger.sending(MAIN, AT + later * DAY_S)
        assert sending.learned_per_minute == learned
        assert (sending.spacing_s, sending.last_at is None) == (0.5, later > 1)


def test_last_run_of_all(ledger: Ledger) -> None:
    """Until a run says otherwise an app has no spacing, and learning says nothing of sending."""
    ledger.learn(MAIN, 300, AT)
    tell(ledger, 0, AT, 0)
    assert ledger.sending(MAIN, AT + 5) == Sending(last_at=AT + 5, learned_per_minute=300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of the property, in ticks.

    Attributes:
        gap: From the end of the one before.
        spacing: Between two requests.
        phase: From its first word to its first request, at least 1.
        words: From one word to the next.
        tail: From the last of these to its end.
        killed: Whether it ends without a word.
    """

    gap: int
    spacing: int
    phase: int
    words: list[int]
    tail: int
    killed: bool


RUNS = st.builds(
    Run,
    gap=st.one_of(st.integers(0, 1000), st.integers(0, 26 * 3600 * 8), st.just(24 * 3600 * 8)),
    spacing=st.sampled_from([1, 4, 5, 48, 700]),
    phase=st.integers(1, 30),
    words=st.lists(st.integers(1, SILENT_TICKS), max_size=4),
    tail=st.integers(0, SILENT_TICKS),
    killed=st.booleans(),
)


def carry_out(run: Run, began: int, ledger: Ledger) -> tuple[list[int], int]:
    """A run that sends as fast as its spacing allows; when it sent, and its end, in ticks."""
    tell(ledger, 0, AT + began * TICK_S, run.spacing * TICK_S)
    words = list(accumulate(run.words, initial=began))
    end = words[-1] + run.tail
    sent = list(range(began + run.phase, end + 1, run.spacing))
    for last, word in pairwise(words):
        requests = sum(last < one <= word for one in sent)
        tell(ledger, requests, AT + word * TICK_S, run.spacing * TICK_S)
    if not run.killed:
        requests = sum(words[-1] < one for one in sent)
        tell(ledger, requests, AT + end * TICK_S, run.spacing * TICK_S, going=False)
    return sent, end


@given(runs=st.lists(RUNS, min_size=1, max_size=5), rest=st.integers(0, 25 * 3600 * 8))
@settings(max_examples=80, deadline=None)
def test_no_request_is_missed(runs: list[Run], rest: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """However runs end, no request of the last 24 hours is missed, and of a killed run little too much is assumed."""
    state, now, sent, assumed = tmp_path_factory.mktemp("state"), 0, list[int](), 0
    for run in [*runs, Run(gap=rest, spacing=1, phase=1, words=[], tail=0, killed=False)]:
        now += run.gap
        at = AT + now * TICK_S
        with Ledger.open(state) as ledger:
            sending = ledger.sending(MAIN, at)
            times = [AT + one * TICK_S for one in sent]
            for minute in range(int(at // 60) - 1440, int(at // 60) + 1):
                later = sum(requests for one, requests in sending.by_minute.items() if one >= minute)
                assert later >= sum(one >= 60 * minute for one in times)
            everything = sum(sending.by_minute.values())
            assert everything <= sum(one > at - DAY_S - 60 - 2 * HEARTBEAT_S for one in times) + assumed
            assert min(sending.by_minute, default=0) >= 0
            assert max(sending.by_minute, default=0) <= int(at // 60)
            if any(one >= at - DAY_S for one in times):
                assert sending.last_at is not None
                assert times[-1] <= sending.last_at <= at
            more, now = carry_out(run, now, ledger)
        sent += more
        assumed += -(-SILENT_TICKS // run.spacing) if run.killed else 0


@given(
    sent=st.lists(st.tuples(st.integers(0, 2**19), st.integers(1, 9)), max_size=12),
    back=st.integers(0, 2**16),
    rest=st.integers(0, 2**17),
)
@settings(max_examples=60, deadline=None)
def test_clean_runs_are_counted_exactly(
    sent: list[tuple[int, int]], back: int, rest: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With all told, exactly the requests since the minute of 24 hours ago count; with the clock set back none less."""
    with Ledger.open(tmp_path_factory.mktemp("state")) as ledger:
        for at, requests in sorted(sent):
            tell(ledger, requests, at, going=False)
        now = max((at for at, _ in sent), default=0) + rest
        used = ledger.sending(MAIN, now).by_minute
        assert sum(used.values()) == sum(requests for at, requests in sent if at // 60 >= now // 60 - 1440)
        assert all(used[minute] == sum(n for at, n in sent if at // 60 == minute) for minute in used)
        earlier = ledger.sending(MAIN, now - back).by_minute
    assert sum(earlier.values()) >= sum(used.values())
    assert all(minute <= (now - back) // 60 for minute in earlier)


SINCE = date(2024, 3, 1)
SEVEN, EIGHT, NINE = AccountId(7), AccountId(8), AccountId(9)


def receipt(ledger: Ledger, requests: int, distinct: int, *, whose: AccountId = ACCOUNT.id) -> None:
    """A walk ended just now, with this evidence and without days."""
    evidence = Receipt(requests=requests, read=distinct, distinct=distinct, counted=distinct)
    run_id = f"run-{len(rows_of(ledger, 'receipts'))}"
    one = slice_of("2024-02-28", "2024-02-29", account(whose))
    ledger.commit(published(one, Status.SHORT, receipt=evidence, run_id=run_id, days=()), NOW)


def test_experience(ledger: Ledger) -> None:
    """Of each account the requests of its walks are summed, what they would have taken at least, its days' calls."""
    receipt(ledger, 5, 201)
    receipt(ledger, 2, 0)
    receipt(ledger, 1, 100, whose=SEVEN)
    failed = published(slice_of("2024-02-28", "2024-02-29", account(EIGHT)), Status.FAILED, receipt=None, days=())
    ledger.commit(failed, NOW)
    ledger.commit(published(slice_of("2024-02-28", "2024-03-02"), calls=9, receipt=None), NOW)
    ledger.take_over(
        ACCOUNT.id, {date(2024, 3, 4): Known(2, complete=False), date(2024, 2, 1): Known(1000, complete=True)}
    )
    ledger.take_over(NINE, {date(2024, 3, 4): Known(6, complete=True)})
    assert ledger.experience([ACCOUNT.id, SEVEN, EIGHT, NINE, AccountId(1)], 100, SINCE) == {
        ACCOUNT.id: Experience(requests=7, least=3 + 1, calls_a_day=(9 + 9 + 2) / 3),
        SEVEN: Experience(requests=1, least=1),
        NINE: Experience(calls_a_day=6),
    }
    assert ledger.experience([SEVEN], 30, SINCE) == {SEVEN: Experience(requests=1, least=4)}
    assert ledger.experience([], 100, SINCE) == {}
    assert ledger.experience([SEVEN], 100, NOW.date() + timedelta(1)) == {}
    assert ledger.experience([SEVEN], 100, NOW.date()) == {SEVEN: Experience(requests=1, least=1)}
    assert ledger.experience([SEVEN], 100, SINCE, NOW) == {SEVEN: Experience(requests=1, least=1)}
    assert ledger.experience([SEVEN], 100, SINCE, NOW + timedelta(seconds=1)) == {}
    assert ledger.experience([NINE], 100, SINCE, NOW + timedelta(1)) == {NINE: Experience(calls_a_day=6)}


def test_days_that_are_only_queued(ledger: Ledger) -> None:
    """A day that has to be read once more tells nothing of how many calls a day has."""
    ledger.take_over(SEVEN, {date(2024, 3, 4): Known(6, complete=True), date(2024, 3, 3): Known(8, complete=True)})
    ledger.queue(SEVEN, [date(2024, 3, 2), date(2024, 3, 3)])
    ledger.queue(EIGHT, [date(2024, 3, 2)])
    assert ledger.experience([SEVEN, EIGHT], 100, SINCE) == {SEVEN: Experience(calls_a_day=6)}


@pytest.mark.parametrize("column", ["requests", "distinct_calls"])
@pytest.mark.parametrize("value", [-1, 2**63 - 1, 1e300, float("inf"), "x", b"", None])
def test_receipts_that_cannot_be(value: object, column: str, ledger: Ledger) -> None:
    """A receipt that no walk can have brought is left out."""
    receipt(ledger, 1, 1)
    ledger._db.execute(f"UPDATE receipts SET {column} = ?", (value,))  # noqa: S608 - the test's own words
    receipt(ledger, 5, 201)
    assert ledger.experience([ACCOUNT.id], 100, SINCE) == {ACCOUNT.id: Experience(requests=5, least=3)}
