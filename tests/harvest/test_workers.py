"""How many workers an app has: a schedule over real quotas, with a client that needs no network."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import anyio
import pytest

from harvester.api.quota import Limits, Quota
from harvester.api.traffic import Traffic
from harvester.calls import Call, Calls
from harvester.harvest.queue import Queue
from harvester.harvest.schedule import Schedule
from harvester.harvest.terms import Terms
from harvester.model import (
    ONE_DAY,
    Account,
    AccountId,
    AppName,
    Page,
    Query,
    Refusal,
    Slice,
    Status,
    TokenName,
    Window,
)  # fmt: skip
from tests.flows import NOW_S, TODAY
from tests.harvest.test_schedule import Writer

pytestmark = pytest.mark.anyio
ONE, OTHER, LATE = AppName("one"), AppName("other"), AppName("late")
PLACES = 32
STUCK = TokenName("stuck")
STUCK_S = 100.0


class Api:
    """One call a day, for a permit each, after so many seconds; a token that is stuck has to be waited for first.

    Args:
        limits: Of the apps.
        answer_s: What an answer takes.
        uneven: By how much more it may take.
    """

    def __init__(self, limits: Mapping[AppName, Limits], answer_s: float, uneven: float = 0.0) -> None:
        self._answer_s = answer_s
        self._uneven = uneven
        traffic = Traffic(PLACES, lambda: NOW_S + anyio.current_time())
        self.quotas = {app: Quota(app, one, traffic) for app, one in limits.items()}
        self.sent_at: defaultdict[AppName, list[float]] = defaultdict(list)
        self.open: Counter[AppName] = Counter()
        self.most_open: Counter[AppName] = Counter()
        self.in_flight: Counter[AppName] = Counter()
        self.most_in_flight: Counter[AppName] = Counter()

    def when_idle(self, tell: Callable[[AppName], None]) -> None:
        """See `Terms.when_idle`."""
        for app, quota in self.quotas.items():
            quota.nobody_waits = partial(tell, app)

    def has_spare(self, app: AppName) -> bool:
        """See `Terms.has_spare`."""
        return self.quotas[app].has_spare

    async def fetch(self, account: Account, query: Query) -> Page | Refusal:
        """See `Asks.fetch`."""
        app = account.app
        self.open[app] += 1
        self.most_open[app] = max(self.most_open[app], self.open[app])
        if account.token == STUCK:
            await anyio.sleep(STUCK_S)
        async with self.quotas[app].permit() as permit:
            self.sent_at[app].append(permit.at)
            self.in_flight[app] += 1
            self.most_in_flight[app] = max(self.most_in_flight[app], self.in_flight[app])
            await anyio.sleep(self._answer_s * (1 + self._uneven * (len(self.sent_at[app]) % 7) / 7))
            self.in_flight[app] -= 1
            self.quotas[app].answered(permit, None)
        self.open[app] -= 1
        start = f"{query.window.end} 12:00:00"
        return Page(calls=Calls.of([Call(f"{account.id}-{start}", start, b"{}")]), total=1)


def slices(accounts: int, app: AppName = ONE, *, each: int = 1, stuck: bool = False, first: int = 1) -> Iterator[Slice]:
    """Days of accounts, in turn."""
    for age in range(1, each + 1):
        for number in range(first, first + accounts):
            account = Account(id=AccountId(number), token=STUCK if stuck else TokenName("token"), app=app)
            yield Slice(account, Window(TODAY - ONE_DAY * age, TODAY - ONE_DAY * age))


async def run(api: Api, plans: Mapping[AppName, Iterator[Slice]], *, at_once: bool = False) -> float:
    """A run to its end; when its last request was sent.

    Args:
        api: What answers.
        plans: What to do.
        at_once: Whether all workers begin at once.
    """
    queue = Queue()
    writer = Writer(queue)
    when_idle = None if at_once else api.when_idle
    terms = Terms(page_size=100, workers=PLACES, has_spare=api.has_spare, when_idle=when_idle)
    await Schedule(api, queue, lambda _: None, terms).run(plans, writer.drain)
    assert {status for status, _ in writer.ends.values()} == {Status.COMPLETE}
    return max(at for times in api.sent_at.values() for at in times)


@pytest.mark.parametrize(("answer_s", "open_at_once"), [(0.01, 2), (0.3, 6), (1.0, 18)])
@pytest.mark.parametrize("limits", [Limits(per_minute=1_000), Limits(per_second=17)])
async def test_an_app_has_no_more_workers_than_its_quota_needs(
    limits: Limits, answer_s: float, open_at_once: int
) -> None:
    """One waits for the next permit, the others for answers; no permit is lost, not even in the first second."""
    few, many = Api({ONE: limits}, answer_s), Api({ONE: limits}, answer_s)
    last_at = await run(few, {ONE: slices(200)})
    began = anyio.current_time()
    assert last_at <= await run(many, {ONE: slices(200)}, at_once=True) - began + 0.1
    assert few.most_open[ONE] <= open_at_once + 1 < many.most_open[ONE] == PLACES


async def test_without_a_quota_all_places_are_taken_at_once() -> None:
    """There is always a permit that nobody waits for: the first requests are sent side by side."""
    api = Api({ONE: Limits()}, 1.0)
    await run(api, {ONE: slices(10 * PLACES)})
    assert api.sent_at[ONE][:PLACES] == [0.0] * PLACES
    assert api.sent_at[ONE][-1] == 9.0


async def test_a_lane_that_begins_late_has_its_share_of_the_places() -> None:
    """An app whose only account answers first when two others have taken all places gets a third of these."""
    api = Api({ONE: Limits(), OTHER: Limits(), LATE: Limits()}, 1.0, uneven=1.0)
    early = {app: slices(15 * PLACES, app, first=n * 1_000_000) for n, app in enumerate((ONE, OTHER), 1)}
    await run(api, {**early, LATE: slices(1, LATE, each=15 * PLACES)})
    shared = [Counter(10 <= at < 20 for at in api.sent_at[app])[True] for app in (ONE, OTHER, LATE)]
    assert min(shared) >= 0.3 * sum(shared)


async def test_slices_that_wait_for_a_token_hold_up_no_others() -> None:
    """Who waits for something else than a permit is not counted on."""
    api = Api({ONE: Limits(per_minute=1_000)}, 0.3)
    stuck = slices(PLACES // 2, stuck=True)
    healthy = slices(100, first=1_000)
    await run(api, {ONE: iter([*stuck, *healthy])})
    assert sum(at < STUCK_S / 10 for at in api.sent_at[ONE]) == 100
