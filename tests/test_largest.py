"""`page_size = "largest"` over whole runs: found, remembered, let go when it does not hold; never at a call's cost."""

from collections import Counter
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from urllib.parse import parse_qs

import anyio
import pytest

from harvester.api import transport
from harvester.api.envelope import Request, Response
from harvester.api.transport import AiohttpTransport
from harvester.errors import AttemptError, ExitCode
from harvester.harvest import sizes
from harvester.harvest.hints import LIFE_S
from harvester.harvest.preview import forecast
from harvester.harvest.run import harvest
from harvester.health import Question
from harvester.landing.ledger import Ledger
from harvester.model import LARGEST
from harvester.report.summary import Report
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.server import serve
from harvester.sandbox.switches import Oversize, Switches
from harvester.sandbox.world import World
from tests.flows import NOW_S, TODAY, assign, differences, last_days, surroundings

pytestmark = pytest.mark.anyio
WORLD = World(accounts=6, calls_per_day=600, tie_share=0.05, today=TODAY)
DAYS = 14
QUIET = World(accounts=8, calls_per_day=1, today=TODAY)
DAY_S = 86_400.0
EACH_OPEN_WALK = 8
"""So many are under way at a time, and each may be refused once before it hears what another one found out."""


class Tapped:
    """The real transport, which counts the page sizes that are asked for, and of which larger pages time out.

    Args:
        inner: What sends.
        able: The most that comes in time, in calls.
    """

    def __init__(self, inner: AiohttpTransport, able: int) -> None:
        self.asked: Counter[int] = Counter()
        self._inner = inner
        self._able = able

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        size = int(parse_qs(request.safe)["page_size"][0])
        self.asked[size] += 1
        if size > self._able:
            await anyio.sleep(30)
            raise AttemptError("no answer within 30 s")
        return await self._inner.send(request)


@dataclass
class Night:
    """What came of a run.

    Attributes:
        report: Its report.
        asked: How often each page size was asked for, attempts included.
        brought_nothing: How many requests were refused.
        differ: Accounts whose files are not what the sandbox holds.
        hints: What the ledger knows afterwards.
        plan: What `plan` had said of it.
    """

    report: Report
    asked: Counter[int]
    brought_nothing: int
    differ: int
    hints: dict[Question, str | None]
    plan: str

    @property
    def requests(self) -> int:
        """That were sent."""
        return sum(self.report.requests.values())

    @property
    def found(self) -> tuple[str | None, str | None]:
        """The largest page, and the smallest that was refused, as the ledger has them."""
        return self.hints.get(Question.PAGE_SIZE), self.hints.get(Question.REFUSED_SIZE)


async def night(
    folder: Path, switches: Switches, *, world: World = WORLD, able: int = 10**6, later_s: float = 0.0
) -> Night:
    """A run that reads everything, so many seconds after the first one."""
    now = surroundings()
    around = replace(now, wall=lambda: now.wall() + later_s)
    async with serve(world, switches, clock=around.wall) as served:
        assignment = assign(served, folder, days=DAYS, page_size=LARGEST)
        assignment = replace(assignment, scope=replace(assignment.scope, again=True))
        plan = forecast(assignment, NOW_S)
        async with AiohttpTransport(assignment.base_url, timeout_s=30) as real:
            tapped = Tapped(real, able)
            report = await harvest(assignment, around=around, transport=tapped)
        refused = sum(number for code, number in served.stats.codes.items() if code)
    with Ledger.open(assignment.state_dir) as ledger:
        hints = {hint.question: hint.answer for hint in ledger.hints()}
    return Night(report, tapped.asked, refused, len(differences(assignment, world)), hints, plan)


def least(maximum: int, world: World = WORLD) -> int:
    """Requests of a client that knows the largest page, and every count."""
    return sum(max(1, ceil(world.count(account, last_days(DAYS)) / maximum)) for account in world.account_ids)


def is_right(one: Night) -> bool:
    """Complete, and byte by byte what the sandbox holds."""
    return one.report.exit_code is ExitCode.COMPLETE and one.report.complete and not one.differ


@pytest.mark.parametrize("oversize", Oversize)
@pytest.mark.parametrize("maximum", [60, 137, 800, 1000])
async def test_it_is_found_and_remembered(maximum: int, oversize: Oversize, tmp_path: Path) -> None:
    """Refused or clamped, the first night finds it within 5 %; the second asks for nothing else, and is not refused."""
    switches = Switches(max_page_size=maximum, oversize=oversize)
    first, second = await night(tmp_path, switches), await night(tmp_path, switches)
    assert is_right(first)
    assert is_right(second)
    found = int(second.found[0] or 0)
    assert abs(found - maximum) <= maximum / 20 or (oversize is not Oversize.REFUSE and found == 100 > maximum)
    assert second.found == first.found
    assert second.brought_nothing == 0, "nothing is searched for"
    assert len(second.asked) == 1, f"only what is known is asked for: {second.asked}"
    assert first.brought_nothing <= (8 + EACH_OPEN_WALK if oversize is Oversize.REFUSE else 0)
    assert first.requests <= 1.1 * least(min(100, maximum))
    assert second.requests <= 1.05 * least(maximum) + 2 * len(WORLD.account_ids)


async def test_plan_goes_by_what_was_found(tmp_path: Path) -> None:
    """`plan` says what the first night would take by the usual size, and all others by the one that was found."""
    switches = Switches(max_page_size=800)
    nights = [await night(tmp_path, switches) for _ in range(3)]
    for one in nights[1:]:
        said = int(one.plan.split("about ")[1].split()[0].replace(",", ""))
        assert abs(said - one.requests) <= 0.1 * one.requests, one.plan


async def test_a_lower_limit_is_found_at_once(tmp_path: Path) -> None:
    """The size that was remembered is refused: each open walk asks in vain once, then it is searched for anew."""
    await night(tmp_path, Switches(max_page_size=1000))
    lowered = await night(tmp_path, Switches(max_page_size=300))
    after = await night(tmp_path, Switches(max_page_size=300))
    assert is_right(lowered)
    assert is_right(after)
    assert lowered.found == after.found == ("300", "312")
    assert lowered.brought_nothing <= EACH_OPEN_WALK + 5
    assert (after.brought_nothing, list(after.asked)) == (0, [300])


async def test_a_lower_clamp_costs_nothing(tmp_path: Path) -> None:
    """Where fewer calls come than the remembered size, without a word, as many come as can."""
    await night(tmp_path, Switches(max_page_size=1000))
    lowered = await night(tmp_path, Switches(max_page_size=300, oversize=Oversize.CLAMP_SILENTLY))
    assert is_right(lowered)
    assert lowered.requests <= 1.05 * least(300) + 2 * len(WORLD.account_ids)


async def test_a_higher_limit_is_found_after_a_month(tmp_path: Path) -> None:
    """What was found is not doubted for 30 days; then it is searched for again, and found."""
    await night(tmp_path, Switches(max_page_size=300))
    raised = Switches(max_page_size=1000)
    soon = await night(tmp_path, raised, later_s=LIFE_S - 3600)
    later = await night(tmp_path, raised, later_s=LIFE_S + 3600)
    assert is_right(soon)
    assert is_right(later)
    assert (soon.found, soon.brought_nothing) == (("300", "312"), 0)
    assert later.found == ("1000", "1050")


async def test_pages_that_do_not_come_in_time(tmp_path: Path) -> None:
    """What times out is not asked for again: two attempts a try, no slice fails, and the next nights know.

    While a try is waited for the other walks go on, so one night may be too short for the search.
    """
    nights = [await night(tmp_path, Switches(max_page_size=5000), able=450) for _ in range(3)]
    assert all(map(is_right, nights))
    tried = sum((one.asked for one in nights), Counter[int]())
    assert {tried[size] for size in tried if size > 450} == {sizes.ATTEMPTS}
    assert nights[1].found == nights[2].found == ("450", "462")
    assert list(nights[2].asked) == [450]


async def test_a_remembered_size_that_comes_in_time_no_more(tmp_path: Path) -> None:
    """The server has become slower: the usual pages come in place of those that do not, and no slice fails."""
    await night(tmp_path, Switches(max_page_size=1000))
    slower = await night(tmp_path, Switches(max_page_size=1000), able=450)
    assert is_right(slower)
    assert 100 < int(slower.found[0] or 0) <= 450
    assert slower.asked[1000] <= 3 * EACH_OPEN_WALK


async def test_bodies_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose body is larger than any that is read is no page: fewer calls are asked for."""
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 200_000)
    first = await night(tmp_path, Switches(max_page_size=5000))
    second = await night(tmp_path, Switches(max_page_size=5000))
    assert is_right(first)
    assert is_right(second)
    assert 100 < int(first.found[0] or 0) < 1000
    assert second.requests < first.requests < least(100) / 2


async def test_faults_teach_next_to_nothing(tmp_path: Path) -> None:
    """One request in ten fails by chance: all lands, and what is found is still several times the usual size."""
    faults = {Fault(FaultKind.CODE, 51001): 0.05, Fault(FaultKind.RESET): 0.05}
    one = await night(tmp_path, Switches(max_page_size=1000, faults=faults))
    assert is_right(one)
    assert 400 <= int(one.found[0] or 0) <= 1000


async def test_quiet_accounts_search_for_nothing(tmp_path: Path) -> None:
    """Where the calls of every slice fit on a page, nothing is tried, and nothing remembered."""
    one = await night(tmp_path, Switches(max_page_size=1000), world=QUIET)
    assert is_right(one)
    assert list(one.asked) == [100]
    assert one.found == (None, None)


async def test_one_walk_searches_at_a_time(tmp_path: Path) -> None:
    """Each size that is refused is tried once, though all walks have use for it."""
    one = await night(tmp_path, Switches(max_page_size=800))
    assert is_right(one)
    assert [one.asked[size] for size in one.asked if size > 800] == [1] * one.brought_nothing


async def test_an_account_that_fails_costs_two_requests_a_night(tmp_path: Path) -> None:
    """Its large page, and a usual one, which might have come; the size that others are read with stays."""
    await night(tmp_path, Switches(max_page_size=800))
    sick = WORLD.account_ids[2]
    ill = Switches(max_page_size=800, account_codes={sick: 51001})
    nights = [await night(tmp_path, ill, later_s=DAY_S * number) for number in (1, 2)]
    assert [one.report.exit_code for one in nights] == [ExitCode.PARTIAL] * 2
    assert nights[1].asked == Counter({800: nights[1].requests - 1, 100: 1})
    assert nights[1].found == ("800", "825")
