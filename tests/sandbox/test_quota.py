"""Quotas by sliding and fixed windows, and a neighbour who uses them too, against a model that counts one by one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.quota import Quota
from harvester.sandbox.switches import Alignment, Switches
from harvester.sandbox.wire import Rejected
from tests.sandbox.helpers import NOW_S

FIXED = Alignment.FIXED
DAY_S = 86_400


def take(quota: Quota, at_s: float) -> int:
    """The code of one request, so long after the beginning; 0: it may go on."""
    try:
        quota.take(NOW_S + at_s)
    except Rejected as rejected:
        return rejected.code
    return 0


def started(**switches: object) -> Quota:
    """A quota that began at `NOW_S`, 08:00 in Beijing."""
    return Quota(Switches(**switches), NOW_S)  # type: ignore[arg-type]


class Model:
    """The same quota, told of every single request, the neighbour's too; all times in whole µs from the beginning."""

    def __init__(self, switches: Switches) -> None:
        self.limits = switches
        self.admitted: list[int] = []
        self.days: Counter[int] = Counter()
        self.barred_until = -(10**18)

    def take(self, at: int) -> int:
        """The code of one request."""
        if self.full(self.limits.requests_per_day, self.today(at)):
            return 11018
        if at < self.barred_until:
            return 11017
        if self.full(self.limits.requests_per_minute, self.recent(at, 60)):
            again = at < self.barred_until + 900 * 10**6 and self.limits.next_penalty_s is not None
            penalty_s = self.limits.next_penalty_s if again else self.limits.penalty_s
            self.barred_until = at + round((penalty_s or 0) * 10**6)
            return 11017
        if self.full(self.limits.requests_per_second, self.recent(at, 1)):
            return 11016
        self.admitted.append(at)
        self.days[self.day(at)] += 1
        return 0

    def full(self, limit: int | None, used: int) -> bool:
        """Whether nothing is left."""
        return limit is not None and used >= limit

    def day(self, at: int) -> int:
        """The Beijing day; it is 08:00 at the beginning."""
        return (at + DAY_S * 10**6 // 3) // (DAY_S * 10**6)

    def today(self, at: int) -> int:
        """Admitted on this day."""
        return self.days[self.day(at)]

    def recent(self, at: int, length_s: int) -> int:
        """Admitted in this second or minute."""
        length = length_s * 10**6
        if self.limits.alignment is FIXED:
            return sum(1 for _ in takewhile(lambda one: one // length == at // length, reversed(self.admitted)))
        return sum(1 for _ in takewhile(lambda one: one > at - length, reversed(self.admitted)))


def neighbours(switches: Switches) -> Iterator[int]:
    """When the neighbour sends, in µs, as the switches' docstring says it, for ever."""
    start = round((switches.neighbour_from_s or 0) * 10**6)
    end = None if switches.neighbour_until_s is None else round(switches.neighbour_until_s * 10**6)
    number = 0
    while switches.neighbour_per_minute:
        at = start + number * 60 * 10**6 // switches.neighbour_per_minute
        if end is not None and at >= end:
            return
        yield at
        number += 1


def modelled(switches: Switches, own: list[int]) -> list[tuple[int, str]]:
    """Code and header of each of our requests, in a world where the neighbour's are sent one by one."""
    model, others = Model(switches), neighbours(switches)
    other = next(others, None)
    answers = []
    for at in own:
        while other is not None and other <= at:
            model.take(other)
            other = next(others, None)
        code = model.take(at)
        left = [
            100 if limit is None else 100 * (limit - used) // limit
            for limit, used in (
                (switches.requests_per_day, model.today(at)),
                (switches.requests_per_minute, model.recent(at, 60)),
            )
        ]
        answers.append((code, f"{left[0]}%,{left[1]}%"))
    return answers


switches = st.builds(
    Switches,
    requests_per_second=st.none() | st.integers(1, 4),
    requests_per_minute=st.none() | st.integers(1, 40),
    requests_per_day=st.none() | st.integers(1, 300),
    alignment=st.sampled_from(Alignment),
    penalty_s=st.sampled_from([0.0, 0.5, 30.0, 60.0, 95.5]),
    next_penalty_s=st.none() | st.sampled_from([0.0, 7.0, 300.0]),
    neighbour_per_minute=st.integers(0, 90),
    neighbour_from_s=st.none() | st.sampled_from([-61.0, 0.0, 0.25, 59.9, 100.0]),
    neighbour_until_s=st.none() | st.sampled_from([0.0, 60.0, 200.0]),
)
moments = st.lists(st.integers(0, 400 * 10**6) | st.integers(0, 1_600).map(lambda quarter: quarter * 250_000))


@given(switches, moments)
def test_computed_when_asked_is_as_counted_one_by_one(switches: Switches, moments: list[int]) -> None:
    """Every code and every header is what a server would say that had seen each of the neighbour's requests."""
    quota, own, answers = Quota(switches, NOW_S), sorted(moments), []
    for at in own:
        code = take(quota, at / 10**6)
        answers.append((code, quota.remaining(NOW_S + at / 10**6)))
    assert answers == modelled(switches, own)


@pytest.mark.parametrize("alignment", Alignment)
@pytest.mark.parametrize("per_second", [None, 1])
@pytest.mark.parametrize(("rate", "limit"), [(7, 7), (7, 5), (7, None), (7, 9)])
def test_midnight_is_crossed_as_if_counted_one_by_one(
    alignment: Alignment, rate: int, limit: int | None, per_second: int | None
) -> None:
    """A day and a half without a request of ours, with a day's quota that the neighbour uses up, or does not."""
    switches = Switches(
        requests_per_second=per_second,
        requests_per_minute=limit,
        requests_per_day=9_000,
        alignment=alignment,
        neighbour_per_minute=rate,
        next_penalty_s=100,
    )
    own = [round(hours * 3_600 * 10**6) for hours in (1, 15.99, 16, 16.01, 17, 32)]
    quota = Quota(switches, NOW_S)
    assert [take(quota, at / 10**6) for at in own] == [code for code, _ in modelled(switches, own)]


def test_a_fixed_minute_ends_with_the_clocks() -> None:
    """What was used at its end is free again a moment later, and so twice the quota passes within two seconds."""
    fixed, sliding = started(requests_per_minute=3, alignment=FIXED), started(requests_per_minute=3)
    times = [59.0, 59.5, 59.9, 60.0, 60.1, 60.2]
    assert [take(fixed, at) for at in times] == [0] * 6
    assert fixed.remaining(NOW_S + 119.999) == "100%,0%"
    assert fixed.remaining(NOW_S + 120) == "100%,100%"
    assert [take(sliding, at) for at in times] == [0] * 3 + [11017] * 3


def test_a_fixed_second_ends_with_the_clocks() -> None:
    """The limit of the second goes by the same clock."""
    quota = started(requests_per_second=2, alignment=FIXED)
    assert [take(quota, at) for at in (0.8, 0.9, 0.95, 1.0, 1.5, 1.6)] == [0, 0, 11016, 0, 0, 11016]


def test_a_bar_that_comes_again_lasts_longer() -> None:
    """Until a quarter of an hour after the last one's end; afterwards it is a first one again."""
    quota = started(requests_per_minute=1, penalty_s=60, next_penalty_s=300)
    assert [take(quota, at) for at in (0, 1, 60.9, 61)] == [0, 11017, 11017, 0]
    assert [take(quota, at) for at in (62, 361.9, 362)] == [11017, 11017, 0]
    assert [take(quota, at) for at in (1_261, 1_262, 1_321.9, 1_322)] == [0, 11017, 11017, 0]


def test_a_bar_that_comes_again_lasts_as_long_unless_told_otherwise() -> None:
    """Without a second length, the first is every bar's."""
    quota = started(requests_per_minute=1, penalty_s=60)
    assert [take(quota, at) for at in (0, 1, 61, 62, 121.9, 122)] == [0, 11017, 0, 11017, 11017, 0]


def test_a_neighbour_uses_what_is_ours() -> None:
    """60 a minute of 100 leave 40 to us, and the header tells of both; the day counts both, too."""
    quota = started(requests_per_minute=100, requests_per_day=1_000, neighbour_per_minute=60)
    assert quota.remaining(NOW_S) == "99%,99%"
    assert quota.remaining(NOW_S + 29.5) == "97%,70%"
    assert quota.remaining(NOW_S + 600) == "39%,40%"
    assert [take(quota, 600.5) for _ in range(41)] == [0] * 40 + [11017]


def test_a_neighbour_gets_everybody_barred() -> None:
    """Its request beyond the quota bars the app, though ours are few; ours is refused without having broken a rule."""
    quota = started(requests_per_minute=10, neighbour_per_minute=20, penalty_s=60)
    assert [take(quota, at) for at in (0, 27, 50, 86.9)] == [0, 11017, 11017, 11017]
    assert quota.barred(NOW_S + 86)
    assert take(quota, 87) == 0


def test_a_neighbour_comes_and_goes() -> None:
    """Only between its two moments is there anything of it, and none of it stays."""
    quota = started(requests_per_minute=100, neighbour_per_minute=60, neighbour_from_s=100, neighbour_until_s=130)
    shown = [quota.remaining(NOW_S + at) for at in (99.9, 100, 129.9, 130, 159.9, 160, 188.9, 1_000)]
    assert shown == [f"100%,{left}%" for left in (100, 99, 70, 70, 70, 71, 99, 100)]


@pytest.mark.parametrize("alignment", Alignment)
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"requests_per_minute": 6_000, "requests_per_second": 100},
        {"requests_per_minute": 1_000},
        {"requests_per_minute": 6_000, "requests_per_day": 100_000},
        {"requests_per_minute": 5_999, "requests_per_second": 1_000, "next_penalty_s": 5.0},
    ],
    ids=str,
)
def test_a_long_silence_costs_little(
    monkeypatch: pytest.MonkeyPatch, alignment: Alignment, changes: dict[str, object]
) -> None:
    """Ten days of a hundred requests a second are made up for in less than a hundredth of so many steps."""
    switches = replace(Switches(neighbour_per_minute=6_000, alignment=alignment), **changes)  # type: ignore[arg-type]
    quota, judge, steps = Quota(switches, NOW_S), Quota._judge, 0

    def counting(quota: Quota, at: int) -> int:
        nonlocal steps
        steps += 1
        return judge(quota, at)

    monkeypatch.setattr(Quota, "_judge", counting)
    quota.remaining(NOW_S + 10 * DAY_S)
    assert steps < 10 * DAY_S * 100 / 100
