"""The data: computed from a seed, in order, unique, and countable without being generated."""

import datetime as dt
import tracemalloc
from collections import Counter
from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from harvester.model import AccountId, Window
from harvester.sandbox.day import Day
from harvester.sandbox.entity import FIELDS
from harvester.sandbox.world import World, beijing_day
from tests.sandbox.helpers import TODAY, WINDOW

days = st.builds(
    lambda count, key, tie_share, tie: Day(
        account_id=AccountId(20_000_001),
        date=dt.date(2026, 10, 30),
        count=count + tie[1],
        key=key,
        tie_share=tie_share,
        giant=(tie[0] % (count + 1), tie[0] % (count + 1) + tie[1]),
    ),
    st.integers(1, 400),
    st.integers(0, 2**64 - 1),
    st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    st.tuples(st.integers(0, 1_000), st.sampled_from([0, 2, 50])),
)


@given(days)
def test_starts_ascend_within_the_day(day: Day) -> None:
    """No call starts before the call with the index before it, and none outside of the day."""
    seconds = [day.second(index) for index in range(day.count)]
    assert seconds == sorted(seconds)
    assert all(0 <= second < 86_400 for second in seconds)
    assert len(set(seconds[slice(*day.giant)])) <= 1


@given(days, st.integers(-5, 86_405))
def test_binary_search_agrees_with_counting(day: Day, second: int) -> None:
    """The number of calls before a second is what going through all of them gives."""
    assert day.before(second) == sum(day.second(index) < second for index in range(day.count))


@given(days)
def test_ids_are_unique_and_sort_as_calls_do(day: Day) -> None:
    """By start, then by id, is the order of the indices."""
    calls = [orjson.loads(day.entity(index, day.second(index))) for index in range(day.count)]
    keys = [(call["call_start_time"], call["call_id"]) for call in calls]
    assert keys == sorted(set(keys))


def test_truth_is_as_long_as_its_count(world: World) -> None:
    """Counting a window gives the number of its calls, for every account."""
    for account_id in world.account_ids:
        calls = list(world.calls(account_id, WINDOW))
        assert len(calls) == world.count(account_id, WINDOW)
        assert all(orjson.loads(call)["account_id"] == account_id for call in calls)


def test_ids_are_unique_over_accounts(world: World) -> None:
    """No call id is used twice, not even by two accounts."""
    ids = [orjson.loads(call)["call_id"] for account in world.account_ids for call in world.calls(account, WINDOW)]
    assert len(ids) == len(set(ids)) > 500


def test_a_seed_is_a_world(world: World) -> None:
    """Equal settings hold equal bytes; another seed holds other accounts."""
    twin, other = replace(world), replace(world, seed=2)
    account_id = world.account_ids[0]
    assert list(twin.calls(account_id, WINDOW)) == list(world.calls(account_id, WINDOW))
    assert twin.account_ids == world.account_ids != other.account_ids


def test_calls_are_as_the_official_page_prints_them(world: World, heaviest: AccountId) -> None:
    """Fields, order, types, number shapes, and empty times of unanswered calls."""
    seen: Counter[str] = Counter()
    for line in world.calls(heaviest, WINDOW):
        call = orjson.loads(line)
        assert [name for name in FIELDS if name in call] == list(call)
        assert {type(call[name]) for name in ("account_id", "leads_id", "duration", "end_status")} == {int}
        assert len(call["caller"]) == len(call["callee"]) == 11
        assert dt.datetime.fromisoformat(call["call_end_time"]) >= dt.datetime.fromisoformat(call["call_start_time"])
        answer, url = call.get("answer_time", "absent"), call.get("call_record_url", "absent")
        if call["end_status"]:
            assert call["duration"] == 0
            assert answer in {"", None, "absent"}
            assert 1 <= call["end_status"] <= 10
            seen[f"unanswered {answer!r}"] += 1
        else:
            talk = dt.datetime.fromisoformat(call["call_end_time"]) - dt.datetime.fromisoformat(answer)
            assert talk.total_seconds() == call["duration"] > 0
            seen["linked" if url else f"link {url!r}"] += 1
        seen[call["call_direction"]] += 1
        seen["landline" if "0" in {call["caller"][0], call["callee"][0]} else "mobile"] += 1
    expected = {"unanswered ''", "unanswered None", "unanswered 'absent'", "linked", "link ''", "link None"}
    assert expected | {"CALL_IN", "CALL_OUT", "landline"} <= set(seen)


def test_ties_are_as_many_as_asked_for() -> None:
    """About a `tie_share` of the calls share their second, and a giant second holds `tie_size` calls."""
    world = World(today=TODAY, accounts=1, calls_per_day=500, tie_share=0.0)
    by_chance = _tied_share(world)
    assert by_chance < 0.02
    assert 0.05 < _tied_share(replace(world, tie_share=0.08)) - by_chance < 0.11
    giant = replace(world, calls_per_day=50, tie_size=500, tie_day_share=1.0)
    starts = Counter(orjson.loads(call)["call_start_time"] for call in _calls(giant))
    assert len([count for count in starts.values() if count >= 500]) == len(WINDOW)


def _tied_share(world: World) -> float:
    starts = Counter(orjson.loads(call)["call_start_time"] for call in _calls(world))
    return sum(count for count in starts.values() if count > 1) / starts.total()


def _calls(world: World) -> list[bytes]:
    return list(world.calls(world.account_ids[0], WINDOW))


def test_a_world_ends_yesterday_and_begins_its_days_ago(world: World, heaviest: AccountId) -> None:
    """There are no calls before the first day, today, or of accounts that do not exist."""
    first, last = world.first_day, world.last_day
    assert (first, last) == (TODAY - dt.timedelta(days=400), dt.date(2026, 10, 30))
    for day in (first - dt.timedelta(days=1), TODAY):
        assert world.count(heaviest, Window(day, day)) == 0
    assert world.count(heaviest, Window(first, first)) > 0
    assert world.count(AccountId(1), WINDOW) == 0


def test_sizes_follow_zipf_and_mean_what_was_asked_for() -> None:
    """The heaviest account has many times the median's calls; the mean is `calls_per_day`."""
    world = World(today=TODAY, accounts=300, calls_per_day=100.0)
    sizes = sorted(world.sizes.values())
    assert sizes[-1] > 50 * sizes[150]
    counts = sum(world.count(account_id, WINDOW) for account_id in world.account_ids)
    assert 80 < counts / 300 / len(WINDOW) < 110
    assert any(world.count(account_id, WINDOW) == 0 for account_id in world.account_ids)


def test_memory_does_not_grow_with_calls() -> None:
    """Looking into the middle of a day of a million calls costs no memory worth speaking of."""
    world = World(today=TODAY, accounts=1, calls_per_day=500_000.0)
    account_id = world.account_ids[0]
    tracemalloc.start()
    try:
        day = world.day(account_id, dt.date(2026, 10, 28))
        assert day.count > 300_000
        day.entity(day.before(43_200), 43_200)
        assert sum(1 for _ in zip(range(10_000), world.calls(account_id, WINDOW), strict=False)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


def test_the_day_is_beijings() -> None:
    """At 16:00 UTC it is tomorrow in Beijing."""
    assert beijing_day(dt.datetime(2026, 10, 30, 15, 59, 59, tzinfo=dt.UTC).timestamp()) == dt.date(2026, 10, 30)
    assert beijing_day(dt.datetime(2026, 10, 30, 16, tzinfo=dt.UTC).timestamp()) == dt.date(2026, 10, 31)
